"""Tokens (JWT) of an OpenID Connect issuer, checked by its public keys."""

from collections.abc import Mapping, Set
from datetime import datetime, timedelta
from typing import Any

import jwt
from jwt.exceptions import InvalidJTIError, InvalidSubjectError

from comfyq.adapters.oidc.issuer_keys import IssuerKeys
from comfyq.aio.logs import log
from comfyq.domain.caller import Caller
from comfyq.domain.errors import Unauthenticated
from comfyq.domain.recency import is_recent
from comfyq.domain.token_claims import Claims, TokenExpired, TokenRefused, TokenRules
from comfyq.ports.clock import Clock

MAX_CHARS = 10 * 1024  # API Gateway takes no more of all headers
MAX_KEY_ID_CHARS = 256
TYPES = ("jwt", "at+jwt", "application/at+jwt")  # others are no ID tokens or access tokens
TOLD_WITHIN = timedelta(minutes=1)
TOLD_AT_ONCE = 5  # lines of one reason within that time: strangers shall not fill the log
REFUSED = (
    "the token lets nobody in here: it is malformed, not from the issuer that is trusted, not for "
    "this server, or lacks a claim that it needs; the server's log says which (token_refused)"
)
EXPIRED = "the token has expired"
REASONS: Mapping[type[jwt.PyJWTError], str] = {
    jwt.InvalidAudienceError: "its audience (`aud`) is none of COMFYQ_OIDC_AUDIENCE",
    jwt.InvalidIssuerError: "its issuer (`iss`) is not COMFYQ_OIDC_ISSUER, to the letter",
    jwt.InvalidSignatureError: "its signature is not by the issuer's key of that id",
    jwt.InvalidKeyError: "the issuer's key for it is not used, such as a short one",
    InvalidSubjectError: "`sub` is no text",
    InvalidJTIError: "`jti` is no text",
    jwt.DecodeError: "it is no token (JWT): it cannot be read",
}


class OidcTokens:
    """Lets in who has a token of one issuer for one of our audiences."""

    def __init__(
        self,
        *,
        keys: IssuerKeys,
        issuer: str,
        audiences: Set[str],
        algorithms: Set[str],
        rules: TokenRules,
        clock: Clock,
    ) -> None:
        """``algorithms`` have public keys all of them."""
        self._keys = keys
        self._issuer = issuer
        self._audiences = audiences
        self._algorithms = algorithms
        self._rules = rules
        self._clock = clock
        self._told: dict[str, tuple[datetime, int]] = {}  # by reason: since when, how often

    async def caller(self, text: str) -> Caller:
        """Return whom a token stands for.

        The log says why one was refused; its sender learns no more than that it has expired.

        Raises:
            Unauthenticated, IssuerUnavailable.
        """
        try:
            claims = await self._verified(text)
            return self._rules.caller(claims, now=self._clock.now())
        except TokenExpired:
            raise Unauthenticated(EXPIRED, given=True) from None
        except TokenRefused as refused:
            self._tell(str(refused))
            raise Unauthenticated(REFUSED, given=True) from None

    async def _verified(self, text: str) -> Claims:
        """Return the claims of a token that the issuer has signed for us; raises TokenRefused."""
        header = self._header(text)
        key_id, algorithm = header.get("kid"), header["alg"]
        key = await self._keys.find(key_id, algorithm)
        if key is None:
            raise TokenRefused("the issuer has no key of the id and algorithm that it names")
        try:
            claims: Claims = jwt.decode(
                text,
                key,
                algorithms=[algorithm],
                issuer=self._issuer,
                audience=self._audiences,
                options={
                    "require": ["iss", "aud", "exp", "sub"],
                    "verify_exp": False,  # by our own clock instead
                    "verify_nbf": False,
                    "verify_iat": False,
                    "enforce_minimum_key_length": True,
                },
            )
        except jwt.PyJWTError as wrong:
            raise TokenRefused(_reason(wrong)) from None
        return claims

    def _header(self, text: str) -> Mapping[str, Any]:
        """Return what a token says of itself, as far as it may be believed before it is checked."""
        if len(text) > MAX_CHARS or not text.isascii():
            raise TokenRefused(f"it has over {MAX_CHARS} characters, or others than tokens have")
        try:
            header = jwt.get_unverified_header(text)
        except jwt.PyJWTError as wrong:
            raise TokenRefused(_reason(wrong)) from None
        algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise TokenRefused("its algorithm is none of COMFYQ_OIDC_ALGORITHMS")
        if not isinstance(kind, str) or kind.lower() not in TYPES:
            raise TokenRefused("its type (`typ`) is neither an ID token's nor an access token's")
        if key_id is not None and not _is_key_id(key_id):
            raise TokenRefused("its `kid` is no text or too long")
        return header

    def _tell(self, reason: str) -> None:
        now = self._clock.now()
        (since, times), unsaid = self._told.get(reason, (now, 0)), 0
        if not is_recent(since, now, within=TOLD_WITHIN):
            unsaid = max(0, times - TOLD_AT_ONCE)
            since, times = now, 0
        self._told[reason] = since, times + 1
        if times < TOLD_AT_ONCE:
            log.warning("token_refused", reason=reason, unsaid=unsaid)


def _is_key_id(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_KEY_ID_CHARS


def _reason(wrong: jwt.PyJWTError) -> str:
    """Return what is wrong by the class of a fault: the library's messages quote the token."""
    if isinstance(wrong, jwt.MissingRequiredClaimError):
        return f"there is no `{wrong.claim}`"
    named = (REASONS[each] for each in type(wrong).__mro__ if each in REASONS)
    return next(named, f"it is no token (JWT) that can be checked ({type(wrong).__name__})")
