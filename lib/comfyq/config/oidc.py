"""The settings of sign-in by tokens of an OpenID Connect issuer."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from comfyq.config.lists import listed
from comfyq.domain.caller import Scope, tenant_id
from comfyq.domain.loopback import is_loopback
from comfyq.domain.token_claims import TokenRules

# Public keys alone check them. A secret that issuer and server share could sign as well as check.
ASYMMETRIC = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
# Not `operator`, the right to all tenants: a tenant may name roles of its own at an issuer.
OWN_SCOPES = ",".join(f"{scope}={scope}" for scope in Scope if scope is not Scope.OPERATOR)
# Nothing that would end a source of the page's content security policy.
NETLOC = re.compile(r"[\w.:\[\]-]+", re.ASCII)


def _issuer(url: str) -> str:
    if not url:
        return url
    parts = urlsplit(url)
    if parts.query or parts.fragment or not NETLOC.fullmatch(parts.netloc) or not parts.hostname:
        raise ValueError("is no issuer: write its URL as in the `iss` of its tokens")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise ValueError("has to begin with https://, or anyone on the way could make tokens")
    return url


def _page_scope(text: str) -> str:
    if "openid" not in text.split():
        raise ValueError("needs the word openid, without which issuers give no ID token")
    return text


def _page_origins(text: str) -> str:
    for origin in listed(text):
        try:
            is_origin = _issuer(origin) == _origin(origin)
        except ValueError:
            is_origin = False
        if not is_origin:
            raise ValueError(f"{origin!r} is no origin: write https://HOST, without a path")
    return text


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _algorithms(text: str) -> str:
    named = set(listed(text))
    if not named or not named <= ASYMMETRIC:
        raise ValueError(f"takes {', '.join(sorted(ASYMMETRIC))}, with commas between them")
    return text


def _tenant(text: str) -> str:
    return tenant_id(text) if text else text


def _scope_map(text: str) -> str:
    _mapping(text)
    return text


def _scopes(text: str) -> str:
    _named(text)
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    PREFIX: ClassVar[str] = "COMFYQ_OIDC_"

    issuer: Annotated[str, AfterValidator(_issuer)] = ""
    """The issuer of tokens that let clients in, as their `iss` has it: an https URL."""
    audience: str = ""
    """Names of this server in tokens (`aud`), with commas; a token has to be for one of them."""
    clients: str = ""
    """Clients, with commas, that tokens may have been issued to (`azp` or `client_id`); unset: any
    client of the issuer."""
    algorithms: Annotated[str, AfterValidator(_algorithms)] = "RS256,PS256,ES256,EdDSA"
    """Algorithms, with commas, that tokens may be signed by; none with a shared secret is known."""
    skew_s: Annotated[int, Field(ge=0, le=300)] = 60
    """The issuer's clock may differ from this machine's by so much."""
    tenant_claim: str = ""
    """Claim of a token that names its tenant, as a path with dots; unset: every token is of
    COMFYQ_OIDC_DEFAULT_TENANT."""
    default_tenant: Annotated[str, AfterValidator(_tenant)] = ""
    """The tenant of tokens without the tenant claim; unset: they let nobody in."""
    scope_claim: str = "scope"
    """Claim of a token that says what its holder may do, as a path with dots: words or a list."""
    scope_map: Annotated[str, AfterValidator(_scope_map)] = OWN_SCOPES
    """The scopes that each value of that claim gives, as `VALUE=SCOPE+SCOPE`, with commas."""
    default_scopes: Annotated[str, AfterValidator(_scopes)] = ""
    """Scopes, with commas, of tokens in which the scope map finds no value; unset: none."""
    page_client: str = ""
    """Client id of the web page at the issuer, a public client with code and PKCE: people sign in
    there; unset: they paste a token."""
    page_scope: Annotated[str, AfterValidator(_page_scope)] = "openid"
    """Scopes, with spaces, that the page asks the issuer for."""
    page_origins: Annotated[str, AfterValidator(_page_origins)] = ""
    """Origins, with commas, that the page may ask for tokens beside the issuer's own: where its
    `token_endpoint` is elsewhere."""

    @property
    def missing(self) -> str | None:
        """Return what has to be set before tokens can let anyone in; None: nothing."""
        if not self.issuer:
            return "COMFYQ_OIDC_ISSUER, the issuer's URL"
        if not self.audiences:
            return "COMFYQ_OIDC_AUDIENCE, the server's name in tokens"
        if not (self.tenant_claim or self.default_tenant):
            return "COMFYQ_OIDC_TENANT_CLAIM or COMFYQ_OIDC_DEFAULT_TENANT"
        return None

    @property
    def audiences(self) -> tuple[str, ...]:
        return listed(self.audience)

    @property
    def asked_by_page(self) -> tuple[str, ...]:
        """Return the origins that the web page asks for the issuer's documents and for tokens."""
        return (_origin(self.issuer), *listed(self.page_origins))

    @property
    def allowed_algorithms(self) -> frozenset[str]:
        return frozenset(listed(self.algorithms))

    @property
    def rules(self) -> TokenRules:
        """Return what is made of the claims of a token."""
        return TokenRules(
            skew=timedelta(seconds=self.skew_s),
            clients=frozenset(listed(self.clients)),
            tenant_claim=self.tenant_claim,
            default_tenant=tenant_id(self.default_tenant) if self.default_tenant else None,
            scope_claim=self.scope_claim,
            scopes=_mapping(self.scope_map),
            default_scopes=_named(self.default_scopes),
        )


def _named(text: str, separator: str = ",") -> frozenset[Scope]:
    named = set(listed(text, separator))
    if unknown := sorted(named - set(Scope)):
        wrong = ", ".join(map(repr, unknown))
        raise ValueError(f"has what is no scope: {wrong}; scopes are {', '.join(Scope)}")
    return frozenset(Scope(each) for each in named)


def _mapping(text: str) -> dict[str, frozenset[Scope]]:
    mapping: dict[str, frozenset[Scope]] = {}
    for entry in listed(text):
        value, _, names = entry.rpartition("=")
        scopes = _named(names, "+")
        if not value.strip() or not scopes:
            raise ValueError(f"{entry!r} has to be VALUE=SCOPE or VALUE=SCOPE+SCOPE")
        mapping[value.strip()] = mapping.get(value.strip(), frozenset()) | scopes
    return mapping
