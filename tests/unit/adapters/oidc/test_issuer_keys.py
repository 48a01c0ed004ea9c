"""The keys of an issuer: when they are fetched, for how long they serve, and from where."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from comfyq.adapters.oidc import documents
from comfyq.adapters.oidc.documents import MAX_BYTES, IssuerAway, fetch_keys
from comfyq.adapters.oidc.issuer_keys import APART, FRESH, USABLE, IssuerKeys
from comfyq.domain.token_claims import IssuerUnavailable
from comfyq.testing.memory.clock import ManualClock
from tests.issuer import KEYS, WELL_KNOWN, Issuer, published, rsa_key, serving_issuer

pytestmark = pytest.mark.anyio


class Lab:
    """Keys of an issuer that is not asked by HTTP."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.published = [published(rsa_key(), "old")]
        self.away = False
        self.fetches = 0
        self.gate: asyncio.Event | None = None
        self.begun = asyncio.Event()  # of a fetch that is held
        self.keys = IssuerKeys(fetch=self._fetch, clock=self.clock)

    async def _fetch(self) -> list[dict[str, Any]]:
        self.fetches += 1
        if self.gate is not None:
            self.begun.set()
            await self.gate.wait()
        if self.away:
            raise IssuerAway("it was told to be away")
        return self.published

    async def has(self, key_id: str | None) -> bool:
        return await self.keys.find(key_id, "RS256") is not None

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Let fetches that begin in the body end with it."""
        self.gate = asyncio.Event()
        yield
        self.gate.set()
        self.gate = None


@pytest.fixture
def lab() -> Lab:
    return Lab()


async def test_keys_are_fetched_once_for_a_while(lab: Lab) -> None:
    assert lab.fetches == 0  # nor before the first token
    for _ in range(100):
        assert await lab.has("old")
    assert lab.fetches == 1
    lab.clock.advance(FRESH.total_seconds())
    assert await lab.has("old")
    assert lab.fetches == 2


async def test_a_new_key_is_known_with_its_first_token(lab: Lab) -> None:
    assert await lab.has("old")
    lab.clock.advance(APART.total_seconds())
    lab.published = [published(rsa_key(1), "new")]
    assert await lab.has("new")
    assert not await lab.has("old")


async def test_ids_that_are_made_up_cause_few_requests(lab: Lab) -> None:
    for number in range(1_000):
        assert not await lab.has(f"made up {number}")
    assert lab.fetches == 1
    lab.clock.advance(APART.total_seconds())
    for number in range(1_000):
        assert not await lab.has(f"made up {number}")
    assert lab.fetches == 2
    assert await lab.has("old")


async def test_a_key_that_was_withdrawn_is_known_no_longer_than_keys_are_fresh(lab: Lab) -> None:
    assert await lab.has("old")
    lab.published = [published(rsa_key(1), "new")]
    lab.clock.advance(FRESH.total_seconds() - 1)
    assert await lab.has("old")
    lab.clock.advance(1)
    assert not await lab.has("old")


async def test_old_keys_serve_while_the_issuer_is_away_and_not_for_ever(lab: Lab) -> None:
    assert await lab.has("old")
    lab.away = True
    lab.clock.advance(USABLE.total_seconds() - 1)
    for _ in range(100):
        assert await lab.has("old")
    assert lab.fetches == 2  # requests to a silent issuer take seconds each
    with pytest.raises(IssuerUnavailable):
        await lab.has("unknown")
    lab.clock.advance(1)
    with pytest.raises(IssuerUnavailable):
        await lab.has("old")
    lab.away = False
    lab.clock.advance(APART.total_seconds())
    assert await lab.has("old")
    assert not await lab.has("unknown")


async def test_an_issuer_that_was_never_there_is_asked_seldom(lab: Lab) -> None:
    lab.away = True
    for _ in range(100):
        with pytest.raises(IssuerUnavailable):
            await lab.has("old")
    with pytest.raises(IssuerUnavailable) as raised:
        await lab.has("old")
    assert lab.fetches == 1
    assert raised.value.retry_after_s == APART.total_seconds()
    lab.clock.advance(APART.total_seconds() - 3)
    lab.away = False
    with pytest.raises(IssuerUnavailable) as raised:
        await lab.has("old")
    assert raised.value.retry_after_s == 3
    lab.clock.advance(raised.value.retry_after_s)
    assert await lab.has("old")


async def test_tokens_that_come_together_wait_for_one_request(lab: Lab) -> None:
    async with lab.held(), asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(lab.has("old")) for _ in range(20)]
        await lab.begun.wait()
        assert lab.gate is not None
        lab.gate.set()
    assert [each.result() for each in asked] == [True] * 20
    assert lab.fetches == 1


async def test_known_keys_wait_for_no_request(lab: Lab) -> None:
    assert await lab.has("old")
    lab.clock.advance(FRESH.total_seconds())
    async with lab.held():
        first = asyncio.create_task(lab.has("old"))
        await lab.begun.wait()
        assert await lab.has("old")
        assert not first.done()
    assert await first


async def test_a_request_that_is_cut_off_is_no_answer(lab: Lab) -> None:
    async with lab.held():
        cut = asyncio.create_task(lab.has("old"))
        await lab.begun.wait()
        cut.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cut
        with pytest.raises(IssuerUnavailable):
            await lab.has("old")
    lab.clock.advance(APART.total_seconds())
    assert await lab.has("old")


async def test_a_clock_that_was_set_back_has_the_keys_fetched_again(lab: Lab) -> None:
    assert await lab.has("old")
    lab.clock.advance(-86_400)
    assert await lab.has("old")
    assert lab.fetches == 2


# --- documents


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with serving_issuer() as issuer:
        yield issuer


def away(issuer: Issuer, url: str | None = None) -> str:
    with pytest.raises(IssuerAway) as raised:
        fetch_keys(url or issuer.url)
    return str(raised.value)


def test_keys_are_where_the_discovery_document_says(issuer: Issuer) -> None:
    assert fetch_keys(issuer.url) == issuer.keys
    assert issuer.asked == [WELL_KNOWN, KEYS]
    issuer.documents = {
        f"/realms/a{WELL_KNOWN}": {
            "issuer": f"{issuer.url}/realms/a/",
            "jwks_uri": issuer.url + KEYS,
        }
    }
    assert fetch_keys(f"{issuer.url}/realms/a/") == issuer.keys


@pytest.mark.parametrize(
    "described",
    [
        {"issuer": "https://another.example", "jwks_uri": KEYS},
        {"jwks_uri": KEYS},
        {"issuer": "", "jwks_uri": "http://issuer.example/keys"},
        {"issuer": "", "jwks_uri": "file:///etc/passwd"},
        {"issuer": "", "jwks_uri": 5},
        {"issuer": ""},
        [],
        b"<html>",
        b"[" * 100_000,
        b" " * (MAX_BYTES + 1),
        b"",
    ],
    ids=lambda each: str(each)[:50],
)
def test_a_discovery_document_that_misleads_is_not_followed(issuer: Issuer, described: Any) -> None:
    if isinstance(described, dict) and described.get("issuer") == "":
        described["issuer"] = issuer.url
    issuer.documents = {WELL_KNOWN: described}
    assert away(issuer)
    assert issuer.asked == [WELL_KNOWN]


@pytest.mark.parametrize("keys", [{}, {"keys": {}}, {"keys": "x"}, [], b"<html>"], ids=str)
def test_documents_without_keys_are_no_answer(issuer: Issuer, keys: Any) -> None:
    issuer.documents = {KEYS: keys}
    assert away(issuer)


def test_nobody_is_redirected(issuer: Issuer) -> None:
    issuer.status = 302
    assert "answers 302" in away(issuer)
    assert issuer.asked == [WELL_KNOWN]


async def test_nobody_waits_for_an_issuer_that_dawdles(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "FETCH_S", 0.05)
    with issuer.dawdling(), pytest.raises(IssuerAway, match="too slowly"):
        await documents.fetched_keys(issuer.url)


def test_nobody_there_is_no_answer(issuer: Issuer) -> None:
    assert away(issuer, "http://127.0.0.1:1")
    assert "answers 404" in away(issuer, f"{issuer.url}/realms/b")
