"""What the claims of a token say: for how long it is valid, whose it is, what its holder may do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from comfyq.domain.caller import Caller, Scope, TenantId
from comfyq.domain.token_claims import TokenExpired, TokenRefused, TokenRules

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
RULES = TokenRules(
    skew=timedelta(seconds=60),
    clients=frozenset(),
    tenant_claim="org",
    default_tenant=None,
    scope_claim="scope",
    scopes={"read": frozenset({Scope.READ}), "gpu users": frozenset({Scope.READ, Scope.SUBMIT})},
    default_scopes=frozenset(),
)


def caller(rules: TokenRules = RULES, /, **claims: Any) -> Caller:
    return rules.caller({"exp": NOW_S + 600, "org": "studio"} | claims, now=NOW)


def refused(rules: TokenRules = RULES, /, **claims: Any) -> str:
    with pytest.raises(TokenRefused) as raised:
        caller(rules, **claims)
    return str(raised.value)


def test_a_caller_is_one_of_its_tenant_until_the_token_has_expired() -> None:
    until = NOW + timedelta(seconds=660)  # also by a clock that is behind
    assert caller() == Caller(TenantId("studio"), frozenset(), until=until)
    assert caller().key is None


def test_a_subject_is_named_in_one_line() -> None:
    assert caller(sub="ann@example").who == "subject ann@example"
    assert caller(sub="a\nb\ud800").subject == "a?b?"
    assert len(caller(sub="a" * 5_000).subject or "") == 1_000


@pytest.mark.parametrize("past_s", [60, 61, 10**9])
def test_a_token_expires(past_s: int) -> None:
    with pytest.raises(TokenExpired):
        caller(exp=NOW_S - past_s)
    assert caller(exp=NOW_S - 59).until == NOW + timedelta(seconds=1)


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_a_token_of_the_future_is_refused(name: str) -> None:
    assert refused(**{name: NOW_S + 61}) == f"`{name}` is in the future"
    caller(**{name: NOW_S + 60})
    caller(**{name: NOW_S + 0.5})


@pytest.mark.parametrize("value", ["1", True, [], {}, 1e300, float("nan"), float("inf"), 10**30])
@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_times_that_are_none_are_refused(name: str, value: Any) -> None:
    assert f"`{name}` is no" in refused(**{name: value})


def test_a_token_without_an_end_is_refused() -> None:
    assert refused(exp=None) == "there is no `exp`"


@pytest.mark.parametrize(
    "tenant", ["a#b", "", "a b", "../x", "x" * 65, 5, True, {}, ["a", "b"], [], [["a"]], "a\n"]
)
def test_a_claim_that_is_no_tenant_is_refused_and_not_replaced(tenant: Any) -> None:
    rules = replace(RULES, default_tenant=TenantId("default"))
    told = "its claim `org` (COMFYQ_OIDC_TENANT_CLAIM) is no tenant's name: "
    assert refused(rules, org=tenant).startswith(told)


def test_a_token_without_the_claim_is_of_the_default_tenant_if_there_is_one() -> None:
    assert "it has no claim `org`" in refused(org=None)
    assert caller(replace(RULES, default_tenant=TenantId("all"))).tenant == "studio"
    assert caller(replace(RULES, default_tenant=TenantId("all")), org=None).tenant == "all"
    nobody_says = replace(RULES, tenant_claim="", default_tenant=TenantId("all"))
    assert caller(nobody_says).tenant == "all"
    assert caller(org=["studio"]).tenant == "studio"


@pytest.mark.parametrize(
    ("path", "claims"),
    [
        ("https://example.com/tenant", {"https://example.com/tenant": "here"}),
        ("a.b.c", {"a": {"b": {"c": "here"}}}),
        ("a.b.c", {"a.b": {"c": "here"}}),
        ("a.b.c", {"a": {"x": 1}, "a.b": {"c": "here"}}),
        ("a.b", {"a.b": "here", "a": {"b": "there"}}),
    ],
)
def test_a_claim_is_found_by_name_or_path(path: str, claims: dict[str, Any]) -> None:
    assert caller(replace(RULES, tenant_claim=path), org=None, **claims).tenant == "here"


@pytest.mark.parametrize("claims", [{"a": "b"}, {"a": {}}, {"a": {"b": None}}, {"a": ["b"]}])
def test_a_path_that_leads_nowhere_finds_nothing(claims: dict[str, Any]) -> None:
    rules = replace(RULES, tenant_claim="a.b")
    assert "it has no claim `a.b`" in refused(rules, org=None, **claims)


@pytest.mark.parametrize(
    ("claim", "scopes"),
    [
        ("openid read", {Scope.READ}),
        (["read", "x"], {Scope.READ}),
        ("gpu users", {Scope.READ, Scope.SUBMIT}),
        (["gpu users"], {Scope.READ, Scope.SUBMIT}),
        (["gpu", "users", 5, {}], set()),
        ("admin", set()),
        ({"read": True}, set()),
        (None, set()),
    ],
)
def test_scopes_are_those_of_the_values_that_are_known(claim: Any, scopes: set[Scope]) -> None:
    assert caller(scope=claim).scopes == scopes
    usual = replace(RULES, default_scopes=frozenset({Scope.CANCEL}))
    assert caller(usual, scope=claim).scopes == (scopes or {Scope.CANCEL})


def test_tokens_may_be_taken_from_some_clients_alone() -> None:
    rules = replace(RULES, clients=frozenset({"web", "cli"}))
    caller(rules, azp="web")
    caller(rules, client_id="cli", azp="web")
    for claims in ({}, {"azp": "x"}, {"client_id": "x", "azp": "web"}, {"azp": ["web"]}):
        assert "COMFYQ_OIDC_CLIENTS" in refused(rules, **claims)
    caller(azp="x")


@pytest.mark.parametrize("name", ["events", "cnf"])
def test_tokens_that_are_no_bearer_tokens_are_refused(name: str) -> None:
    """Logout tokens; and those that are worth nothing without a proof that we do not ask for."""
    assert "no bearer token" in refused(**{name: {}})
