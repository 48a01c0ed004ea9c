"""Sockets let in by key or ticket, and end when the key does."""

from collections.abc import Iterator
from datetime import timedelta
from typing import NoReturn

import pytest

from comfyq.adapters.oidc.issuer_keys import APART
from comfyq.domain.api_key import KeyId
from comfyq.domain.caller import Scope
from comfyq.domain.errors import ApiKeyNotFound, TableUnavailable, Unauthenticated
from comfyq.domain.job import JobId
from comfyq.services.access.tickets import LIVES
from comfyq.services.limits.connect_limit import ConnectLimit
from tests.access_lab import ALL, AccessLab
from tests.issuer import LIVES_S, serving_issuer
from tests.socket_events import connected, handshake, subscribed

pytestmark = pytest.mark.anyio

ALLOWED, UNAUTHENTICATED = (200, ""), (401, "unauthenticated")
SOCKET = "a="


@pytest.fixture
def lab() -> AccessLab:
    return AccessLab()


@pytest.fixture
def token_lab() -> Iterator[AccessLab]:
    with serving_issuer() as issuer:
        yield AccessLab(issuer)


def ticket(lab: AccessLab, key: str, job_id: str | None = None) -> dict[str, str]:
    answer = lab.ask("POST", "/ws-ticket", key, json={"job_id": job_id})
    assert answer.status_code == 201, answer.text
    return {"ticket": answer.json()["ticket"]}


async def following(lab: AccessLab, key: str, socket: str = SOCKET) -> JobId:
    """Open a socket that follows a new job."""
    job_id = lab.ask("POST", "/generate", key, json={"prompt": "a fox"}).json()["id"]
    assert await connected(lab.sockets, socket, key) == ALLOWED
    await subscribed(lab.sockets, socket, job_id)
    assert len(await lab.services.followers.of_job(job_id)) == 1
    return JobId(job_id)


async def test_a_ticket_lets_in_once(lab: AccessLab) -> None:
    query = ticket(lab, await lab.key())
    assert await connected(lab.sockets, SOCKET, None, query) == ALLOWED
    assert await connected(lab.sockets, "b=", None, query) == UNAUTHENTICATED


async def test_a_ticket_lets_in_within_a_minute(lab: AccessLab) -> None:
    key = await lab.key()
    late, query = ticket(lab, key), ticket(lab, key)
    lab.clock.advance(LIVES.total_seconds() - 1)
    assert await connected(lab.sockets, SOCKET, None, query) == ALLOWED
    lab.clock.advance(1)
    assert await connected(lab.sockets, "b=", None, late) == UNAUTHENTICATED


async def test_a_ticket_of_a_key_that_was_revoked_since_lets_nobody_in(lab: AccessLab) -> None:
    key = await lab.key()
    query = ticket(lab, key)
    await lab.keys.revoke(KeyId(key.split("_")[1]))
    assert await connected(lab.sockets, SOCKET, None, query) == UNAUTHENTICATED
    assert await lab.services.followers.caller(SOCKET) is None


async def test_a_ticket_for_a_job_follows_no_other(lab: AccessLab) -> None:
    key = await lab.key()
    jobs = [
        lab.ask("POST", "/generate", key, json={"prompt": "a fox"}).json()["id"] for _ in range(2)
    ]
    for_other = {"job_id": jobs[1], **ticket(lab, key, jobs[0])}
    assert await connected(lab.sockets, "b=", None, for_other) == (404, "job-not-found")
    assert await connected(lab.sockets, SOCKET, None, ticket(lab, key, jobs[0])) == ALLOWED
    for job_id in jobs:
        await subscribed(lab.sockets, SOCKET, job_id)
    followed, refused = lab.notifier.frames(SOCKET)
    assert followed["job_id"] == jobs[0]
    assert (refused["code"], refused["job_id"]) == ("job-not-found", jobs[1])


async def test_a_ticket_is_no_key(lab: AccessLab) -> None:
    text = ticket(lab, await lab.key())["ticket"]
    assert lab.ask("GET", "/generate", text).status_code == 401
    assert lab.ask("GET", f"/generate?ticket={text}", None).status_code in (401, 422)


async def test_a_ticket_may_no_more_than_read(lab: AccessLab) -> None:
    await connected(lab.sockets, SOCKET, None, ticket(lab, await lab.key(ALL)))
    known = await lab.services.followers.caller(SOCKET)
    assert known is not None
    assert known[0].scopes == {Scope.READ}


async def test_a_client_opens_so_many_sockets_and_asks_for_so_many_tickets(lab: AccessLab) -> None:
    """Other limits count none of them, and each is a write."""
    now_s = 0.0
    lab.services.connect_limit = ConnectLimit(most=2, now_s=lambda: now_s)
    key, other = await lab.key(), await lab.key()
    for socket in "ab":
        assert await connected(lab.sockets, socket, key) == ALLOWED
    refused = await lab.sockets.handle(handshake("c", key))
    assert (refused["statusCode"], refused["headers"]) == (429, {"Retry-After": "30"})
    assert "2 sockets a minute" in refused["body"]
    assert await lab.services.followers.caller("c") is None
    tickets = [ticket(lab, key), ticket(lab, key)]  # these have a number of their own
    late = lab.ask("POST", "/ws-ticket", key, json={})
    assert (late.status_code, late.json()["code"]) == (429, "rate-limited")
    assert late.headers["Retry-After"] == "30"
    assert await connected(lab.sockets, "c", None, tickets[0]) == (429, "rate-limited")
    assert await connected(lab.sockets, "c", other) == ALLOWED
    assert ticket(lab, other)
    now_s = 30.0
    assert await connected(lab.sockets, "d", key) == ALLOWED


async def test_revoking_a_key_ends_its_sockets_and_no_others(lab: AccessLab) -> None:
    keys = [await lab.key(), await lab.key()]
    jobs = [await following(lab, key, socket) for key, socket in zip(keys, "ab", strict=True)]
    assert await connected(lab.sockets, "c", None, ticket(lab, keys[0])) == ALLOWED
    await lab.keys.revoke(KeyId(keys[0].split("_")[1]))
    assert lab.notifier.gone == {"a", "c"}
    assert {each.code for each in lab.notifier.closed.values()} == {4401}, "which says what to do"
    assert [len(await lab.services.followers.of_job(job_id)) for job_id in jobs] == [0, 1]
    assert await lab.services.followers.caller("a") is None
    assert await lab.services.followers.caller("b") is not None


async def test_a_revocation_that_is_cut_off_ends_the_sockets_when_it_is_repeated(
    lab: AccessLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = await lab.key()
    await following(lab, text)
    key_id = KeyId(text.split("_")[1])

    async def away(_: str) -> NoReturn:
        raise TableUnavailable("the table was told to be away")

    with monkeypatch.context() as patched:
        patched.setattr(lab.services.followers, "of_key", away)
        with pytest.raises(TableUnavailable):
            await lab.keys.revoke(key_id)
    assert lab.notifier.gone == set()
    with pytest.raises(ApiKeyNotFound):
        await lab.keys.revoke(key_id)
    assert lab.notifier.gone == {SOCKET}


async def test_a_socket_that_opens_while_its_key_is_revoked_does_not_stay(lab: AccessLab) -> None:
    """Another process still remembers the key when the handshake comes."""
    text = await lab.key()
    await lab.keys.caller(text)
    await lab.services.api_keys._records.remove(KeyId(text.split("_")[1]))
    assert (await lab.keys.caller(text)).key is not None
    assert await connected(lab.sockets, SOCKET, text) == UNAUTHENTICATED
    assert await lab.services.followers.caller(SOCKET) is None


async def test_a_job_that_is_followed_while_the_key_is_revoked_is_not_told_of(
    lab: AccessLab,
) -> None:
    text = await lab.key()
    job_id = JobId(lab.ask("POST", "/generate", text, json={"prompt": "a fox"}).json()["id"])
    assert await connected(lab.sockets, SOCKET, text) == ALLOWED
    subscriptions = lab.services.subscriptions
    sender = await subscriptions.connected(SOCKET)
    await lab.keys.revoke(KeyId(text.split("_")[1]))
    with pytest.raises(Unauthenticated):
        await subscriptions.subscribe(sender, job_id)
    assert await lab.services.followers.of_job(job_id) == []


async def test_a_socket_ends_when_its_key_expires(lab: AccessLab) -> None:
    lasting = await following(lab, await lab.key(), "b")
    job_id = await following(lab, await lab.key(lives=timedelta(minutes=5)))
    lab.clock.advance(299)
    assert (await lab.reaper.reap())["closed"] == 0
    lab.clock.advance(1)
    assert await lab.services.followers.of_job(job_id) == []  # told nothing from that moment
    assert (await lab.reaper.reap())["closed"] == 1
    assert lab.notifier.gone == {SOCKET}
    assert await lab.services.followers.caller(SOCKET) is None
    assert len(await lab.services.followers.of_job(lasting)) == 1


@pytest.mark.parametrize("by_ticket", [False, True], ids=["token", "ticket"])
async def test_a_socket_ends_when_its_token_expires(token_lab: AccessLab, by_ticket: bool) -> None:
    """A minute later: by so much the issuer's clock may differ from ours."""
    lab, token = token_lab, token_lab.token()
    job_id = lab.ask("POST", "/generate", token, json={"prompt": "a fox"}).json()["id"]
    shown = (None, ticket(lab, token)) if by_ticket else (token, None)
    assert await connected(lab.sockets, SOCKET, *shown) == ALLOWED
    await subscribed(lab.sockets, SOCKET, job_id)
    lab.clock.advance(LIVES_S + 59)
    assert (await lab.reaper.reap())["closed"] == 0
    assert len(await lab.services.followers.of_job(job_id)) == 1
    lab.clock.advance(1)
    assert await lab.services.followers.of_job(job_id) == []  # told nothing from that moment
    assert (await lab.reaper.reap())["closed"] == 1
    assert lab.notifier.gone == {SOCKET}


async def test_a_ticket_lives_no_longer_than_the_token_that_it_was_made_with(
    token_lab: AccessLab,
) -> None:
    lab, token = token_lab, token_lab.token()
    lab.clock.advance(LIVES_S + 30)
    query = ticket(lab, token)
    lab.clock.advance(30)
    assert await connected(lab.sockets, SOCKET, None, query) == UNAUTHENTICATED


async def test_a_socket_is_not_opened_while_the_issuer_is_away(token_lab: AccessLab) -> None:
    lab, token = token_lab, token_lab.token()
    assert lab.issuer is not None
    lab.issuer.status = 500
    assert await connected(lab.sockets, SOCKET, token) == (503, "issuer-unavailable")
    assert await lab.services.followers.caller(SOCKET) is None
    answer = lab.ask("GET", "/generate", token)
    assert (answer.status_code, answer.json()["code"]) == (503, "issuer-unavailable")
    assert int(answer.headers["retry-after"]) == APART.total_seconds()  # sooner, nobody asks
    assert lab.issuer.url not in answer.text
    assert lab.ask("GET", "/generate", await lab.key()).status_code == 200  # keys need no issuer


async def test_a_socket_that_cannot_be_closed_now_is_told_nothing_more(lab: AccessLab) -> None:
    text = await lab.key()
    job_id = await following(lab, text)
    known = await lab.services.followers.caller(SOCKET)
    assert known is not None
    lab.notifier.unavailable.add(known[1].connection.endpoint)
    await lab.keys.revoke(KeyId(text.split("_")[1]))
    assert await lab.services.followers.of_job(job_id) == []
    assert await lab.services.followers.caller(SOCKET) is None
