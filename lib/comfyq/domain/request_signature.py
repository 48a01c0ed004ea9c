"""AWS's Signature Version 4 of a request, made and checked by whoever shares a secret.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"
SCOPE = "local/execute-api/aws4_request"  # after the day; region and service of what we sign
TIME = "%Y%m%dT%H%M%SZ"
VALID = timedelta(minutes=15)
NEEDED = {"host", "x-amz-date"}  # headers that a signature has to cover
AUTHORIZATION = re.compile(
    ALGORITHM
    + r" Credential=[^/,]+/(?P<scope>\d{8}/[\w-]+/[\w-]+/aws4_request), ?"
    + r"SignedHeaders=(?P<names>[a-z0-9;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request without a query; names of headers are in lower case."""

    method: str
    path: str  # as it is sent
    headers: Mapping[str, str]
    body: bytes


def signed_headers(request: SignedRequest, secret: bytes, *, now: datetime) -> dict[str, str]:
    """Return the request's headers, which have ``host``, and those that sign it."""
    headers = {**request.headers, "x-amz-date": now.astimezone(UTC).strftime(TIME)}
    scope = f"{headers['x-amz-date'][:8]}/{SCOPE}"
    names = ";".join(sorted(headers))
    timed = SignedRequest(request.method, request.path, headers, request.body)
    signature = _signature(timed, secret, names=names, scope=scope)
    headers["authorization"] = (
        f"{ALGORITHM} Credential=comfyq/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return headers


def is_signed(request: SignedRequest, secret: bytes, *, now: datetime) -> bool:
    """Tell if someone who has the secret has signed a request, a moment ago."""
    parts = AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if parts is None:
        return False
    names = set(parts["names"].split(";"))
    if not names >= NEEDED or not names <= request.headers.keys():
        return False
    if not _is_of_now(request.headers["x-amz-date"], parts["scope"], now):
        return False
    expected = _signature(request, secret, names=parts["names"], scope=parts["scope"])
    return hmac.compare_digest(expected, parts["signature"])


def _is_of_now(text: str, scope: str, now: datetime) -> bool:
    try:
        signed_at = datetime.strptime(text, TIME).replace(tzinfo=UTC)
    except ValueError:
        return False
    return scope.startswith(f"{text[:8]}/") and abs(now - signed_at) <= VALID


def _signature(request: SignedRequest, secret: bytes, *, names: str, scope: str) -> str:
    headers = [f"{name}:{' '.join(request.headers[name].split())}" for name in names.split(";")]
    canonical = [
        request.method,
        quote(request.path, safe="/~"),
        "",  # there is no query
        *headers,
        "",
        names,
        sha256(request.body).hexdigest(),
    ]
    digest = sha256("\n".join(canonical).encode()).hexdigest()
    key = b"AWS4" + secret
    for part in scope.split("/"):
        key = _hmac(key, part)
    text = "\n".join([ALGORITHM, request.headers["x-amz-date"], scope, digest])
    return _hmac(key, text).hex()


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), sha256).digest()
