"""Signed links to a job's outputs.

A link names an output and an expiry time, and is signed with a key of its job, which is derived
from a secret of the deployment. A job is stored with its key: who reads the job can make its links,
and nobody else's. Making a link takes no storage credentials, and a link is valid for longer than
they are: the storage's own short-lived URL is made when the link is followed. Links are made for
each answer and never stored.
"""

import hmac
from collections.abc import Mapping
from hashlib import sha256

from comfyq.domain.errors import BadSignature
from comfyq.domain.files.upload import UploadId
from comfyq.domain.job import JobId
from comfyq.ports.clock import Clock
from comfyq.records.times import to_ms

SIGNATURE_CHARS = 32  # of the hex digest: 128 bits
KEY_CHARS = 32
PSEUDONYM_CHARS = 8


class LinkSigner:
    """Signs links to the outputs of a job whose key it is given."""

    def __init__(self, *, clock: Clock, expires_s: int = 7 * 86_400) -> None:
        self._clock = clock
        self._expires_s = expires_s

    def query(self, key: str, index: int) -> str:
        """Return the query string that makes a URL of the job's ``index``-th output a link."""
        expires = to_ms(self._clock.now()) // 1000 + self._expires_s
        return f"expires={expires}&signature={_signature(key, index, expires)}"


class SignedLinks:
    """Makes and checks the links of every job, by the deployment's secret."""

    def __init__(self, *, secret: bytes, clock: Clock, expires_s: int = 7 * 86_400) -> None:
        self._secret = secret
        self._clock = clock
        self._signer = LinkSigner(clock=clock, expires_s=expires_s)

    def key(self, job_id: JobId) -> str:
        """Return the key that signs the links of one job."""
        return _hmac(self._secret, job_id)[:KEY_CHARS]

    def query(self, job_id: JobId, index: int) -> str:
        """Return the query string that makes a URL of a job's ``index``-th output a signed link."""
        return self._signer.query(self.key(job_id), index)

    def verify(self, job_id: JobId, index: int, query: Mapping[str, str]) -> None:
        """Check a link's signature and expiry; raises BadSignature if either is wrong."""
        self._verify(self.key(job_id), index, query)

    def upload_query(self, upload_id: UploadId) -> str:
        """Return the query string that makes the URL of an upload's content a signed link."""
        return self._signer.query(self._upload_key(upload_id), 0)

    def verify_upload(self, upload_id: UploadId, query: Mapping[str, str]) -> None:
        """Check the link of an upload's content as ``verify`` does; raises BadSignature."""
        self._verify(self._upload_key(upload_id), 0, query)

    def pseudonym(self, name: str) -> str:
        """Return what stands for a name that a client is not told: always the same."""
        return _hmac(self._secret, f"name/{name}")[:PSEUDONYM_CHARS]

    def _upload_key(self, upload_id: UploadId) -> str:
        return _hmac(self._secret, f"upload/{upload_id}")[:KEY_CHARS]

    def _verify(self, key: str, index: int, query: Mapping[str, str]) -> None:
        expires, signature = query.get("expires", ""), query.get("signature", "")
        if not expires.isascii() or not expires.isdigit() or len(expires) > 15:
            raise BadSignature("the link has no valid `expires`")
        expected = _signature(key, index, int(expires))
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise BadSignature("the link is not signed by this server")
        if to_ms(self._clock.now()) // 1000 > int(expires):
            raise BadSignature("the link has expired; ask for it again to get a new one")


def _signature(key: str, index: int, expires: int) -> str:
    return _hmac(key.encode(), f"{index}/{expires}")[:SIGNATURE_CHARS]


def _hmac(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), sha256).hexdigest()
