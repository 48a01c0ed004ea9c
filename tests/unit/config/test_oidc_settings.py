"""Settings of sign-in by tokens: what they mean, and which would let others in."""

import pytest

from comfyq.bootstrap.access import AccessServices
from comfyq.bootstrap.ports import MissingSetting
from comfyq.config import InvalidSettings, OidcSettings, read_settings
from comfyq.domain.caller import Scope, TenantId
from tests.api_lab import ApiLab

ISSUER = "https://issuer.example/realms/a"


def read(**variables: str) -> OidcSettings:
    return read_settings({f"COMFYQ_OIDC_{name}": value for name, value in variables.items()}).oidc


@pytest.mark.parametrize(
    "issuer",
    [
        ISSUER,
        "https://issuer.example",
        "http://127.0.0.1:8080",
        "http://localhost/realms/a",
        "http://[::1]:8",
    ],
)
def test_issuers_by_https_or_on_this_machine_are_taken(issuer: str) -> None:
    assert read(ISSUER=issuer).issuer == issuer


@pytest.mark.parametrize(
    "issuer",
    [
        "http://issuer.example",
        "http://192.168.1.2",
        "http://127.0.0.1.example",
        "ftp://127.0.0.1",
        "issuer.example",
        "https://",
        "https://issuer.example?x=y",
        "https://issuer.example#x",
        "https://me:secret@issuer.example",
        "https://issuer.example;script-src *",
    ],
)
def test_other_issuers_are_refused(issuer: str) -> None:
    with pytest.raises(InvalidSettings, match="COMFYQ_OIDC_ISSUER: "):
        read(ISSUER=issuer)


def test_the_page_asks_the_issuer_and_where_else_tokens_come_from() -> None:
    settings = read(ISSUER=ISSUER, PAGE_ORIGINS="https://tokens.example, http://127.0.0.1:8")
    origins = ("https://issuer.example", "https://tokens.example", "http://127.0.0.1:8")
    assert settings.asked_by_page == origins
    for wrong in ("tokens.example", "https://tokens.example/token", "http://tokens.example", "*"):
        with pytest.raises(InvalidSettings, match="COMFYQ_OIDC_PAGE_ORIGINS: "):
            read(PAGE_ORIGINS=wrong)
    with pytest.raises(InvalidSettings, match=r"COMFYQ_OIDC_PAGE_SCOPE: .*openid"):
        read(PAGE_SCOPE="profile email")


@pytest.mark.parametrize("algorithms", ["none", "HS256", "RS256,HS512", "ES256K", "", " , "])
def test_algorithms_without_a_public_key_cannot_be_chosen(algorithms: str) -> None:
    with pytest.raises(InvalidSettings, match="COMFYQ_OIDC_ALGORITHMS: takes "):
        read(ALGORITHMS=algorithms)


@pytest.mark.parametrize("skew_s", ["-1", "301"])
def test_the_clocks_may_differ_by_minutes_and_not_by_days(skew_s: str) -> None:
    with pytest.raises(InvalidSettings, match="COMFYQ_OIDC_SKEW_S: "):
        read(SKEW_S=skew_s)


def test_a_scope_map_names_scopes_by_the_values_of_a_claim() -> None:
    text = "gpu users=read+submit, /ops/a=b=admin,gpu users=cancel"
    assert read(SCOPE_MAP=text).rules.scopes == {
        "gpu users": frozenset({Scope.READ, Scope.SUBMIT, Scope.CANCEL}),
        "/ops/a=b": frozenset({Scope.ADMIN}),
    }
    own = set(Scope) - {Scope.OPERATOR}  # which reaches beyond a token's tenant
    assert read().rules.scopes == {scope: frozenset({scope}) for scope in own}


@pytest.mark.parametrize("text", ["staff", "staff=", "=read", "staff=root", "staff=read submit"])
def test_a_scope_map_without_a_meaning_is_refused(text: str) -> None:
    with pytest.raises(InvalidSettings, match="COMFYQ_OIDC_SCOPE_MAP: "):
        read(SCOPE_MAP=text)


def test_tenant_and_scopes_of_tokens_without_claims() -> None:
    rules = read(DEFAULT_TENANT="studio", DEFAULT_SCOPES="read, submit", CLIENTS="a, b").rules
    assert rules.default_tenant == TenantId("studio")
    assert rules.default_scopes == {Scope.READ, Scope.SUBMIT}
    assert rules.clients == {"a", "b"}
    nothing = read(DEFAULT_TENANT="", DEFAULT_SCOPES="", CLIENTS="").rules
    assert nothing.default_tenant is None
    assert not nothing.default_scopes | nothing.clients
    with pytest.raises(InvalidSettings, match="is no tenant"):
        read(DEFAULT_TENANT="a#b")
    with pytest.raises(
        InvalidSettings, match=r"no scope: 'everything'; scopes are submit, .*, admin"
    ):
        read(DEFAULT_SCOPES="everything")


@pytest.mark.parametrize(
    ("variables", "missing"),
    [
        ({}, "COMFYQ_OIDC_ISSUER"),
        ({"COMFYQ_OIDC_ISSUER": ISSUER, "COMFYQ_OIDC_AUDIENCE": ","}, "COMFYQ_OIDC_AUDIENCE"),
        (
            {"COMFYQ_OIDC_ISSUER": ISSUER, "COMFYQ_OIDC_AUDIENCE": "comfyq"},
            "COMFYQ_OIDC_TENANT_CLAIM or COMFYQ_OIDC_DEFAULT_TENANT",
        ),
    ],
)
def test_what_tokens_cannot_do_without_is_named(variables: dict[str, str], missing: str) -> None:
    services = ApiLab().services
    settings = read_settings({"COMFYQ_AUTH": "oidc", **variables})
    with pytest.raises(MissingSetting, match=f"needs {missing}"):
        _ = AccessServices(settings, services.ports).authenticator
