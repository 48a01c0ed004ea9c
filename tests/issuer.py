"""An OpenID Connect issuer on a free port of this machine, whose keys can be rotated."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, TypeVar

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from comfyq.domain.caller import Scope

AUDIENCE = "comfyq"
TENANT_CLAIM = "org"
LIVES_S = 3_600
KEYS = "/keys"
WELL_KNOWN = "/.well-known/openid-configuration"
SETTINGS = {
    "COMFYQ_OIDC_AUDIENCE": AUDIENCE,
    "COMFYQ_OIDC_TENANT_CLAIM": TENANT_CLAIM,
    "COMFYQ_OIDC_SCOPE_MAP": ",".join(f"{scope}={scope}" for scope in Scope),
}

Answer = tuple[int, Mapping[str, str], bytes]  # status, headers, content
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def rsa_key(number: int = 0, *, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the number-th key, which is made once: that takes a while."""
    return _rsa_key(number, bits)


@cache
def _rsa_key(number: int, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=bits)


@cache
def ec_key(curve: type[ec.EllipticCurve] = ec.SECP256R1) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve())


@cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def published(key: PrivateKey, key_id: str | None, **more: Any) -> dict[str, Any]:
    """Return a key as an issuer publishes it."""
    public = key.public_key()
    described: dict[str, Any]
    if isinstance(public, rsa.RSAPublicKey):
        described = RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        described = ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        described = OKPAlgorithm.to_jwk(public, as_dict=True)
    described.pop("key_ops", None)
    return described | ({} if key_id is None else {"kid": key_id}) | {"use": "sig", **more}


class Issuer:
    """What it answers may be changed at any time: its keys, its whole documents, its status."""

    def __init__(self) -> None:
        self.keys = [published(rsa_key(), "rsa"), published(ec_key(), "ec")]
        self.documents: dict[str, Any] = {}  # instead of its own, by path: JSON or bytes
        self.status = 200
        self.asked: list[str] = []  # paths of requests
        self.answering = Event()
        self.answering.set()
        self.url = ""

    @property
    def settings(self) -> dict[str, str]:
        return SETTINGS | {"COMFYQ_OIDC_ISSUER": self.url}

    @contextmanager
    def dawdling(self) -> Iterator[None]:
        """Answer nothing before the body has ended."""
        self.answering.clear()
        try:
            yield
        finally:
            self.answering.set()

    def document(self, path: str) -> Any:
        own = {
            WELL_KNOWN: {"issuer": self.url, "jwks_uri": self.url + KEYS},
            KEYS: {"keys": self.keys},
        }
        return (own | self.documents).get(path)

    def answer(self, path: str, body: bytes | None) -> Answer:
        """Return the answer to a GET, or to a POST with ``body``."""
        document = None if body is not None else self.document(path)
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        headers = {"Location": KEYS} if 300 <= self.status < 400 else {}
        return 404 if document is None else self.status, headers, content

    def token(
        self,
        *,
        now: datetime,
        key: Any = None,
        algorithm: str = "RS256",
        header: Mapping[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """Return a token that is valid for an hour; what is None is left out."""
        issued = int(now.timestamp())
        usual = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "somebody",
            "iat": issued,
            "exp": issued + LIVES_S,
        }
        payload = {name: value for name, value in (usual | claims).items() if value is not None}
        heading = {"kid": "rsa"} | dict(header or {})
        heading = {name: value for name, value in heading.items() if value is not None}
        return jwt.encode(payload, rsa_key() if key is None else key, algorithm, headers=heading)


AnyIssuer = TypeVar("AnyIssuer", bound=Issuer)


@contextmanager
def serving_issuer() -> Iterator[Issuer]:
    with serving(Issuer()) as issuer:
        yield issuer


@contextmanager
def serving(issuer: AnyIssuer) -> Iterator[AnyIssuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, body: bytes | None) -> None:
            issuer.asked.append(self.path)
            issuer.answering.wait()
            status, headers, content = issuer.answer(self.path, body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
