"""The claims of an issuer's token: for how long it is valid, and whom it stands for.

Whoever calls has checked signature, issuer and audience. Meanings of the claims:
https://www.rfc-editor.org/rfc/rfc7519#section-4.1
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from comfyq.domain.caller import Caller, Scope, TenantId, tenant_id
from comfyq.domain.errors import Unavailable

Claims = Mapping[str, Any]

MAX_SUBJECT_CHARS = 1_000  # beyond it, a name is cut

# Of logout and security events, and of tokens that are worth something only with another proof:
# https://www.rfc-editor.org/rfc/rfc8417 https://www.rfc-editor.org/rfc/rfc7800
NOT_OF_BEARERS = ("events", "cnf")


class IssuerUnavailable(Unavailable):
    """An issuer's keys are needed, and cannot be fetched again before ``retry_after_s``."""

    code = "issuer-unavailable"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TokenRefused(Exception):
    """A token lets nobody in; the message is for the log, and has nothing of the token."""


class TokenExpired(TokenRefused): ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """The tenant and the scopes that tokens give, and whom they were issued to.

    A claim is named by its name or by a path with dots: ``realm_access.roles``.
    """

    skew: timedelta  # by so much the issuer's clock may differ from ours
    clients: frozenset[str]  # to whom a token was issued (`azp`, `client_id`); empty: to anyone
    tenant_claim: str  # empty: none
    default_tenant: TenantId | None  # of a token without the claim; None: it is refused
    scope_claim: str
    scopes: Mapping[str, frozenset[Scope]]  # by the claim's value
    default_scopes: frozenset[Scope]  # of a token that names none of ``scopes``

    def caller(self, claims: Claims, *, now: datetime) -> Caller:
        """Return whom a token stands for; raises TokenRefused, TokenExpired."""
        until = self._valid_until(claims, now)
        self._require_use(claims)
        tenant, scopes = self._tenant(claims), self._scopes(claims)
        return Caller(tenant, scopes, subject=_subject(claims), until=until)

    def _valid_until(self, claims: Claims, now: datetime) -> datetime:
        for name in ("nbf", "iat"):
            begins = _time(claims, name)
            if begins is not None and begins - self.skew > now:
                raise TokenRefused(f"`{name}` is in the future")
        expires = _time(claims, "exp")
        if expires is None:
            raise TokenRefused("there is no `exp`")
        if expires + self.skew <= now:
            raise TokenExpired("it has expired")
        return expires + self.skew

    def _require_use(self, claims: Claims) -> None:
        """Refuse a token that is meant for another purpose or another client."""
        for name in NOT_OF_BEARERS:
            if name in claims:
                raise TokenRefused(f"a token with `{name}` is no bearer token")
        named = {claims[name] for name in ("azp", "client_id") if isinstance(claims.get(name), str)}
        if self.clients and (not named or not named <= self.clients):
            raise TokenRefused("its client (`azp`, `client_id`) is none of COMFYQ_OIDC_CLIENTS")

    def _tenant(self, claims: Claims) -> TenantId:
        value = _claim(claims, self.tenant_claim) if self.tenant_claim else None
        if value is None:
            if self.default_tenant is None:
                raise TokenRefused(
                    f"it has no claim `{self.tenant_claim}` (COMFYQ_OIDC_TENANT_CLAIM), and "
                    "COMFYQ_OIDC_DEFAULT_TENANT is not set"
                )
            return self.default_tenant
        if isinstance(value, list) and len(value) == 1:
            [value] = value
        try:
            return tenant_id(value)
        except (TypeError, ValueError):
            raise TokenRefused(
                f"its claim `{self.tenant_claim}` (COMFYQ_OIDC_TENANT_CLAIM) is no tenant's name: "
                "up to 64 letters, digits, dots, hyphens and underscores"
            ) from None

    def _scopes(self, claims: Claims) -> frozenset[Scope]:
        named = [
            self.scopes[value]
            for value in _texts(_claim(claims, self.scope_claim))
            if value in self.scopes
        ]
        return frozenset().union(*named) if named else self.default_scopes


def _subject(claims: Claims) -> str | None:
    """Return whom a token is about, as one line that every store keeps."""
    subject = claims.get("sub")
    if not isinstance(subject, str):
        return None
    line = "".join(each if each.isprintable() else "?" for each in subject)
    return line[:MAX_SUBJECT_CHARS]


def _time(claims: Claims, name: str) -> datetime | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenRefused(f"`{name}` is no number")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError, ValueError):
        raise TokenRefused(f"`{name}` is no time in seconds") from None


def _claim(claims: Claims, path: str) -> Any:
    """Return the claim called ``path``, or the one that it leads to; None if there is none.

    Names of claims may have dots themselves, as ``https://example.com/tenant`` does.
    """
    if path in claims:
        return claims[path]
    at = path.find(".")
    while at >= 0:
        inner = claims.get(path[:at])
        if isinstance(inner, Mapping) and (found := _claim(inner, path[at + 1 :])) is not None:
            return found
        at = path.find(".", at + 1)
    return None


def _texts(value: Any) -> Iterator[str]:
    """Yield the values of a claim: words of a text, as `scope` has them, or texts of a list."""
    if isinstance(value, str):
        yield value  # the name of a role or group may have spaces
        yield from value.split()
    elif isinstance(value, list):
        yield from (each for each in value if isinstance(each, str))
