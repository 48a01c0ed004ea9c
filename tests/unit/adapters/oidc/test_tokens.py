"""Tokens of an issuer: which let in, and what those learn that do not."""

import base64
import hmac
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from comfyq.adapters.oidc.tokens import (
    EXPIRED,
    MAX_CHARS,
    REFUSED,
    TOLD_AT_ONCE,
    TOLD_WITHIN,
    OidcTokens,
)
from comfyq.aio.logs import Log
from comfyq.bootstrap.access import tokens_of
from comfyq.config import read_settings
from comfyq.domain.caller import Scope, TenantId
from comfyq.domain.errors import Unauthenticated
from comfyq.domain.token_claims import IssuerUnavailable
from comfyq.testing.memory.clock import ManualClock
from tests.issuer import (
    KEYS,
    Issuer,
    PrivateKey,
    ec_key,
    ed_key,
    published,
    rsa_key,
    serving_issuer,
)

pytestmark = pytest.mark.anyio

ANY = "an issuer"

ALGORITHMS: dict[str, tuple[str, Callable[[], PrivateKey]]] = {
    "RS256": ("rsa", rsa_key),
    "PS512": ("rsa", rsa_key),
    "ES256": ("ec", ec_key),
    "ES384": ("p384", lambda: ec_key(ec.SECP384R1)),
    "EdDSA": ("ed", ed_key),
}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with serving_issuer() as issuer:
        issuer.keys += [published(ec_key(ec.SECP384R1), "p384"), published(ed_key(), "ed")]
        yield issuer


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def tokens(issuer: Issuer, clock: ManualClock, **variables: str) -> OidcTokens:
    algorithms = {"COMFYQ_OIDC_ALGORITHMS": ",".join(ALGORITHMS)}
    settings = read_settings(algorithms | issuer.settings | variables)
    return tokens_of(settings.oidc, clock=clock)


@pytest.fixture
def checked(issuer: Issuer, clock: ManualClock) -> OidcTokens:
    return tokens(issuer, clock)


async def refused(checked: OidcTokens, token: str) -> str:
    with pytest.raises(Unauthenticated) as raised:
        await checked.caller(token)
    assert raised.value.given
    return str(raised.value)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_token_by_each_kind_of_key_lets_in(
    checked: OidcTokens, issuer: Issuer, clock: ManualClock, algorithm: str
) -> None:
    key_id, key = ALGORITHMS[algorithm]
    token = issuer.token(
        now=clock.now(),
        key=key(),
        algorithm=algorithm,
        header={"kid": key_id},
        org="studio",
        scope="read submit",
    )
    caller = await checked.caller(token)
    assert caller.tenant == TenantId("studio")
    assert caller.scopes == {Scope.READ, Scope.SUBMIT}
    first, rest = token[:-9], token[-8:]  # of the signature, whose last character has spare bits
    assert await refused(checked, first + ("A" if token[-9] != "A" else "B") + rest) == REFUSED


async def test_a_public_key_is_no_secret(
    checked: OidcTokens, issuer: Issuer, clock: ManualClock
) -> None:
    """Whoever knows it could sign with it, were it taken for one."""
    public = rsa_key().public_key()
    for secret in (
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(issuer.keys[0]).encode(),
    ):
        assert await refused(checked, hmac_token(issuer, clock, secret)) == REFUSED


def hmac_token(issuer: Issuer, clock: ManualClock, secret: bytes) -> str:
    """Sign without the library, which knows better."""
    _, payload, _ = issuer.token(now=clock.now(), org="studio").split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"rsa","typ":"JWT"}').rstrip(b"=")
    signed = header.decode() + "." + payload
    digest = hmac.new(secret, signed.encode(), "sha256").digest()
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def by_stranger(**header: Any) -> dict[str, Any]:
    return {"key": rsa_key(1), "header": header}


OTHERS: dict[str, Callable[[], dict[str, Any]]] = {
    "unsigned": lambda: {"key": "", "algorithm": "none"},
    "signed by a stranger": by_stranger,
    "signed by a stranger who names no key": lambda: by_stranger(kid=None),
    "by a key that it brings": lambda: by_stranger(kid="x", jwk=published(rsa_key(1), "x")),
    "by a key that it says where to find": lambda: by_stranger(kid="x", jku="https://a.example"),
    "by an algorithm that may not be used": lambda: {"algorithm": "PS256"},
    "by another kind of key": lambda: {"header": {"kid": "ec"}},
    "by another curve": lambda: {
        "key": ec_key(ec.SECP384R1),
        "algorithm": "ES384",
        "header": {"kid": "ec"},
    },
    "of an unknown key": lambda: {"header": {"kid": "unknown"}},
    "of a key with a long id": lambda: {"header": {"kid": "x" * 257}},
    "for a logout": lambda: {"header": {"typ": "logout+jwt"}},
    "a proof": lambda: {"header": {"typ": "dpop+jwt"}},
    "with what has to be understood": lambda: {"header": {"crit": ["x"], "x": 1}},
    "of another issuer": lambda: {"iss": "https://another.example"},
    "of no issuer": lambda: {"iss": None},
    "of an issuer that is nearly ours": lambda: {"iss": f"{ANY}/"},
    "for another audience": lambda: {"aud": "another"},
    "for an audience that begins as ours": lambda: {"aud": "comfyq-b"},
    "for nobody": lambda: {"aud": []},
    "without an audience": lambda: {"aud": None},
    "for something else": lambda: {"aud": ["comfyq", 5]},
    "without an end": lambda: {"exp": None},
    "with a vague end": lambda: {"exp": "soon"},
    "of nobody": lambda: {"sub": None},
    "of no name": lambda: {"sub": 5},
    "of no tenant": lambda: {"org": None},
    "of what is no tenant": lambda: {"org": "a#b"},
    "for an event": lambda: {"events": {}},
    "for a holder of a key": lambda: {"cnf": {"jkt": "x"}},
    "of the future": lambda: {"nbf": 2**31},
}


@pytest.mark.parametrize("other", OTHERS)
async def test_other_tokens_let_nobody_in_and_learn_not_why(
    checked: OidcTokens, issuer: Issuer, clock: ManualClock, other: str
) -> None:
    how = {"org": "studio"} | OTHERS[other]()
    if how.get("iss") == f"{ANY}/":
        how["iss"] = f"{issuer.url}/"
    assert await refused(checked, issuer.token(now=clock.now(), **how)) == REFUSED


@pytest.mark.parametrize(
    "text", ["", ".", "..", "...", "a.b.c", "é.é.é", "\ud800", "e30.e30.", "x" * 99], ids=ascii
)
async def test_what_is_no_token_lets_nobody_in(checked: OidcTokens, text: str) -> None:
    assert await refused(checked, text) == REFUSED


async def test_deep_json_is_no_token(checked: OidcTokens) -> None:
    deep = base64.urlsafe_b64encode(b"[" * 5_000).rstrip(b"=").decode()
    assert await refused(checked, f"{deep}.{deep}.{deep}"[:MAX_CHARS]) == REFUSED


async def test_long_tokens_are_not_read(
    checked: OidcTokens, issuer: Issuer, clock: ManualClock
) -> None:
    def padded(size: int) -> str:
        return issuer.token(now=clock.now(), org="studio", groups="x" * size)

    over = padded(MAX_CHARS)
    assert await refused(checked, over) == REFUSED
    assert issuer.asked == []
    fits = padded(MAX_CHARS * 3 // 4 - 700)
    assert len(fits) > MAX_CHARS - 500
    await checked.caller(fits)


async def test_the_holder_of_an_expired_token_learns_that(
    checked: OidcTokens, issuer: Issuer, clock: ManualClock
) -> None:
    own, forged = (issuer.token(now=clock.now(), org="a", key=rsa_key(n)) for n in (0, 1))
    await checked.caller(own)
    clock.advance(3_600 + 59)
    await checked.caller(own)
    clock.advance(1)
    assert await refused(checked, own) == EXPIRED
    assert await refused(checked, forged) == REFUSED


@pytest.mark.parametrize("kind", ["JWT", "at+jwt", "AT+JWT", "application/at+jwt"])
async def test_types_of_id_and_access_tokens(
    checked: OidcTokens, issuer: Issuer, clock: ManualClock, kind: str
) -> None:
    await checked.caller(issuer.token(now=clock.now(), org="a", header={"typ": kind}))


async def test_audiences_are_ours_if_one_is(issuer: Issuer, clock: ManualClock) -> None:
    checked = tokens(issuer, clock, COMFYQ_OIDC_AUDIENCE="comfyq, api://comfyq")
    for audience in ("comfyq", "api://comfyq", ["other", "comfyq"]):
        await checked.caller(issuer.token(now=clock.now(), org="a", aud=audience))
    for audience in ("comfyq, api://comfyq", "api", ["other"]):
        token = issuer.token(now=clock.now(), org="a", aud=audience)
        assert await refused(checked, token) == REFUSED


async def test_algorithms_are_those_of_the_setting(issuer: Issuer, clock: ManualClock) -> None:
    checked = tokens(issuer, clock, COMFYQ_OIDC_ALGORITHMS="ES256")
    assert await refused(checked, issuer.token(now=clock.now(), org="a")) == REFUSED


async def test_a_short_key_is_not_used(issuer: Issuer, clock: ManualClock) -> None:
    short = rsa_key(bits=1024)
    issuer.keys = [published(short, "short")]
    checked = tokens(issuer, clock)
    with pytest.warns(Warning, match="1024"):
        token = issuer.token(now=clock.now(), org="a", key=short, header={"kid": "short"})
    assert await refused(checked, token) == REFUSED


async def test_an_issuer_that_is_away_lets_nobody_in_and_refuses_nobody(
    checked: OidcTokens, issuer: Issuer, clock: ManualClock
) -> None:
    issuer.status = 503
    with pytest.raises(IssuerUnavailable) as raised:
        await checked.caller(issuer.token(now=clock.now(), org="a"))
    assert issuer.url not in str(raised.value)
    assert await refused(checked, "a.b.c") == REFUSED  # that needs no key


async def test_the_log_says_why_some_times_a_minute_and_how_often_it_did_not(
    checked: OidcTokens, issuer: Issuer, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, int]] = []

    def note(_: Log, event: str, *, reason: str, unsaid: int) -> None:
        told.append((reason, unsaid))

    monkeypatch.setattr(Log, "warning", note, raising=False)
    token = issuer.token(now=clock.now(), org="a", aud="another")
    for _ in range(TOLD_AT_ONCE + 3):
        await refused(checked, token)
    why = "its audience (`aud`) is none of COMFYQ_OIDC_AUDIENCE"
    assert told == [(why, 0)] * TOLD_AT_ONCE
    told.clear()
    clock.advance(TOLD_WITHIN.total_seconds())
    await refused(checked, token)
    assert told == [(why, 3)]
    told.clear()
    reasons: list[tuple[dict[str, Any], str]] = [
        ({"sub": None}, "there is no `sub`"),
        ({"sub": 5}, "`sub` is no text"),
        ({"iss": "https://another.example"}, "not COMFYQ_OIDC_ISSUER"),
        ({"key": rsa_key(1)}, "its signature is not"),
        ({"org": None}, "no claim `org` (COMFYQ_OIDC_TENANT_CLAIM)"),
        ({"org": "a#b"}, "its claim `org` (COMFYQ_OIDC_TENANT_CLAIM) is no tenant's name"),
    ]
    for how, _ in reasons:
        await refused(checked, issuer.token(now=clock.now(), **{"org": "a"} | how))
    await refused(checked, "a.b.c")
    parts = [*(part for _, part in reasons), "it is no token (JWT)"]
    assert [part in reason for part, (reason, _) in zip(parts, told, strict=True)] == [True] * 7


async def test_keys_that_are_for_something_else_check_nothing(
    issuer: Issuer, clock: ManualClock
) -> None:
    token = issuer.token(now=clock.now(), org="a")
    own = published(rsa_key(), "rsa")
    for key in (
        own | {"use": "enc"},
        own | {"alg": "RS512"},
        own | {"key_ops": ["encrypt"]},
        own | {"kty": "oct", "k": "c2VjcmV0"},
        own | {"n": "-"},
        own | {"n": 5},
        {"kid": "rsa"},
    ):
        issuer.documents[KEYS] = {"keys": [key, "no key", None]}
        assert await refused(tokens(issuer, clock), token) == REFUSED
    issuer.documents[KEYS] = {"keys": [own | {"key_ops": ["verify"], "alg": "RS256"}]}
    await tokens(issuer, clock).caller(token)


async def test_a_token_need_not_name_the_only_key(issuer: Issuer, clock: ManualClock) -> None:
    token = issuer.token(now=clock.now(), org="a", header={"kid": None})
    issuer.keys = [published(rsa_key(), None), published(ec_key(), "ec")]
    await tokens(issuer, clock).caller(token)
    issuer.keys = [published(rsa_key(), "a"), published(rsa_key(1), "b")]
    assert await refused(tokens(issuer, clock), token) == REFUSED
