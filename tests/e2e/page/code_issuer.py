"""An issuer at which people sign in by a browser: authorization code and PKCE, a public client."""

import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.issuer import AUDIENCE, WELL_KNOWN, Answer, Issuer

CLIENT = "comfyq page"
AUTHORIZE = "/authorize"
TOKEN = "/token"
REVOKE = "/revoke"
OPAQUE = "an access token that says nothing"


class CodeIssuer(Issuer):
    """Whoever comes has an account and is sent back at once; the tests say who it is."""

    def __init__(self) -> None:
        super().__init__()
        self.subject = "somebody"
        self.refuses = False  # to let anyone in
        self.state: str | None = None  # of answers, instead of the one that was asked
        self.answers_as: str | None = None  # the issuer that its answers name, instead of itself
        self.claims: dict[str, Any] = {}  # of ID tokens, instead of the true ones
        self.has_api_tokens = False  # else its access tokens say nothing
        self.gives_refresh = False
        self.refresh = ""  # the refresh token that is good: each is so once (RFC 9700, 4.14.2)
        self.refreshed = 0  # times that one was taken
        self.revoked: list[Mapping[str, str]] = []  # forms by which tokens were given up
        self.sent: list[str] = []  # tokens
        self.begun: list[Mapping[str, str]] = []  # what each sign-in has asked
        self.code = ""  # the last one
        self._asked_by_code: dict[str, Mapping[str, str]] = {}

    @property
    def settings(self) -> dict[str, str]:
        return super().settings | {
            "COMFYQ_OIDC_AUDIENCE": f"{AUDIENCE},{CLIENT}",
            "COMFYQ_OIDC_PAGE_CLIENT": CLIENT,
            "COMFYQ_OIDC_PAGE_SCOPE": "openid profile",
        }

    def document(self, path: str) -> Any:
        document = super().document(path)
        if path != WELL_KNOWN:
            return document
        ends = {"authorization_endpoint": AUTHORIZE, "token_endpoint": TOKEN}
        ends |= {"revocation_endpoint": REVOKE}
        return {**document, **{name: self.url + end for name, end in ends.items()}}

    def answer(self, path: str, body: bytes | None) -> Answer:
        if urlsplit(path).path == AUTHORIZE:
            return self._authorize(dict(parse_qsl(urlsplit(path).query)))
        if path == TOKEN and body is not None:
            status, said = self._tokens(dict(parse_qsl(body.decode())))
            return status, {"Access-Control-Allow-Origin": "*"}, json.dumps(said).encode()
        if path == REVOKE and body is not None:
            self.revoked.append(dict(parse_qsl(body.decode())))
            return 200, {"Access-Control-Allow-Origin": "*"}, b""
        status, headers, content = super().answer(path, body)
        return status, {**headers, "Access-Control-Allow-Origin": "*"}, content

    def has_revoked(self, token: str) -> bool:
        """Tell whether the page's client has given a refresh token up."""
        form = {"token": token, "token_type_hint": "refresh_token", "client_id": CLIENT}
        return form in self.revoked

    def _authorize(self, asked: Mapping[str, str]) -> Answer:
        known = {
            "response_type": "code",
            "client_id": CLIENT,
            "scope": "openid profile",
            "code_challenge_method": "S256",
        }
        if any(asked.get(name) != value for name, value in known.items()):
            return 400, {}, repr(asked).encode()
        self.begun.append(asked)
        back = {"state": self.state or asked["state"], "iss": self.answers_as or self.url}
        if self.refuses:
            back |= {"error": "access_denied", "error_description": "You have no account."}
        else:
            back["code"] = self.code = secrets.token_hex()
            self._asked_by_code[self.code] = asked
        return 302, {"Location": f"{asked['redirect_uri']}?{urlencode(back)}"}, b""

    def _tokens(self, form: Mapping[str, str]) -> tuple[int, Mapping[str, str]]:
        if form["grant_type"] == "refresh_token":
            return self._tokens_again(form)
        asked = self._asked_by_code.pop(form["code"], None)  # a code is good once
        digest = sha256(form["code_verifier"].encode()).digest()
        challenge = urlsafe_b64encode(digest).decode().rstrip("=")
        if (
            asked is None
            or asked["code_challenge"] != challenge
            or any(form[name] != asked[name] for name in ("client_id", "redirect_uri"))
        ):
            return 400, {"error": "invalid_grant"}
        return 200, self._made({"nonce": asked["nonce"]} | self.claims)

    def _tokens_again(self, form: Mapping[str, str]) -> tuple[int, Mapping[str, str]]:
        known = {"grant_type": "refresh_token", "refresh_token": self.refresh, "client_id": CLIENT}
        if not self.refresh or form != known:
            self.refresh = ""  # somebody has it who should not
            return 400, {"error": "invalid_grant"}
        self.refreshed += 1
        return 200, self._made(self.claims)

    def _made(self, claims: Mapping[str, Any]) -> Mapping[str, str]:
        """Return tokens; ``claims`` are the ID token's own."""
        common: dict[str, Any] = {
            "sub": self.subject,
            "org": "studio",
            "scope": "submit read",
            "azp": CLIENT,
        }
        now = datetime.now(UTC)  # noqa: TID251 - the server's clock is this one
        named = self.token(now=now, **{**common, "aud": CLIENT, **claims})
        access = self.token(now=now, **common) if self.has_api_tokens else OPAQUE
        self.sent = [access, named]
        tokens = {"access_token": access, "id_token": named, "token_type": "Bearer"}
        if not self.gives_refresh:
            return tokens
        self.refresh = secrets.token_hex()
        return {**tokens, "refresh_token": self.refresh}
