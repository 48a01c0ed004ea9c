from dataclasses import replace
from typing import Any

import pytest

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.domain.caller import Caller, Scope, TenantId
from comfyq.domain.errors import ConnectionNotFound, JobNotFound, Unauthenticated
from comfyq.domain.job import JobId
from comfyq.ports.notifier import Connection
from comfyq.records.subscriptions import FOLLOW_S, FOLLOWERS_PAGE, Subscription
from comfyq.testing.memory.notifier import MemoryNotifier
from tests.followed_jobs import FollowedJobs

pytestmark = pytest.mark.anyio

SOCKET = Connection("c1=", "https://ws.example/live")
STRANGER = Caller(TenantId("stranger"), frozenset({Scope.READ}))
JOB = JobId("job-1")


@pytest.fixture
def notifier() -> MemoryNotifier:
    return MemoryNotifier()


@pytest.fixture
def world(notifier: MemoryNotifier) -> FollowedJobs:
    return FollowedJobs(notifier)


async def connect(world: FollowedJobs, caller: Caller = OWNER) -> None:
    await world.subscriptions.connect(SOCKET, caller, base_url="http://here")


async def subscribe(world: FollowedJobs, job_id: JobId) -> None:
    """Follow a job as whoever is connected."""
    connected = await world.subscriptions.connected(SOCKET.id)
    await world.subscriptions.subscribe(connected, job_id)


async def test_connecting_posts_nothing_and_follows_nothing(
    world: FollowedJobs, notifier: MemoryNotifier
) -> None:
    await world.submitted()
    await world.subscriptions.connect(SOCKET, OWNER, base_url="", job_id=JOB)
    assert notifier.posts == []
    assert await world.followers.of_job(JOB) == []


async def test_connecting_for_a_job_that_is_not_there_stores_nothing(world: FollowedJobs) -> None:
    with pytest.raises(JobNotFound):
        await world.subscriptions.connect(SOCKET, OWNER, base_url="", job_id=JOB)
    assert await world.followers.caller(SOCKET.id) is None


async def test_a_subscriber_is_posted_the_present_and_then_what_comes(
    world: FollowedJobs, notifier: MemoryNotifier
) -> None:
    job = await world.running()
    await connect(world)
    await subscribe(world, JOB)
    await world.announcer.announce(await world.advance(job, 1))
    shown = [(frame["status"], frame["seq"], frame["step"]) for frame in notifier.frames("c1=")]
    assert shown == [("running", 3, 0), ("running", 4, 1)]
    assert {to for to, _ in notifier.posts} == {SOCKET}


async def test_more_followers_than_a_page_has_are_all_told(
    world: FollowedJobs, notifier: MemoryNotifier
) -> None:
    job = await world.running()
    names = {f"c{number}=" for number in range(2 * FOLLOWERS_PAGE + 1)}
    for name in names:
        follower = Subscription(Connection(name, SOCKET.endpoint), "")
        await world.followers.add(JOB, follower, now_s=int(world.clock.now().timestamp()))
    await world.announcer.announce_end(await world.succeed(job))
    assert sorted(to.id for to, _ in notifier.posts) == sorted(names)


async def test_nothing_falls_between_the_subscription_and_the_snapshot(
    world: FollowedJobs, notifier: MemoryNotifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change in the very moment before the subscription is written is in the snapshot."""
    job = await world.running()
    await connect(world)
    add = world.followers.add

    async def changed_first(job_id: JobId, follower: Subscription, **times: Any) -> None:
        await world.announcer.announce(await world.advance(job, 3))  # tells nobody: none follows
        await add(job_id, follower, **times)

    monkeypatch.setattr(world.followers, "add", changed_first)
    await subscribe(world, JOB)
    assert [frame["step"] for frame in notifier.frames("c1=")] == [3]


async def test_another_tenants_job_is_not_found_and_not_followed(
    world: FollowedJobs, notifier: MemoryNotifier
) -> None:
    await world.submitted()
    await connect(world, STRANGER)
    with pytest.raises(JobNotFound):
        await subscribe(world, JOB)
    with pytest.raises(JobNotFound):
        await world.subscriptions.connect(SOCKET, STRANGER, base_url="", job_id=JOB)
    assert await world.followers.of_job(JOB) == []
    assert notifier.posts == []


async def test_who_has_not_connected_cannot_subscribe(world: FollowedJobs) -> None:
    await world.submitted()
    with pytest.raises(ConnectionNotFound):
        await subscribe(world, JOB)


async def test_a_connection_is_forgotten_with_all_that_it_follows(world: FollowedJobs) -> None:
    await connect(world)
    for name in ("job-1", "job-2"):
        await world.submitted(name)
        await subscribe(world, JobId(name))
    await world.subscriptions.disconnect(SOCKET.id)
    await world.subscriptions.disconnect(SOCKET.id)  # $disconnect may come twice
    assert await world.followers.of_job(JOB) == []
    assert await world.followers.of_job(JobId("job-2")) == []
    assert await world.followers.caller(SOCKET.id) is None


async def test_a_lost_disconnect_costs_a_while_and_no_more(world: FollowedJobs) -> None:
    await world.submitted()
    await connect(world)
    await subscribe(world, JOB)
    world.clock.advance(FOLLOW_S + 1)
    assert await world.followers.of_job(JOB) == []
    assert await world.followers.caller(SOCKET.id) is None


async def test_a_socket_that_has_closed_is_followed_no_more(
    world: FollowedJobs, notifier: MemoryNotifier
) -> None:
    await world.submitted()
    await connect(world)
    notifier.gone.add(SOCKET.id)
    await subscribe(world, JOB)
    assert await world.followers.of_job(JOB) == []


@pytest.mark.parametrize(
    ("key", "told"),
    [("0" * 16, "the API key was revoked or has expired"), (None, "the token has expired")],
)
async def test_who_is_let_in_no_more_is_told_why(
    world: FollowedJobs, key: str | None, told: str
) -> None:
    caller = replace(STRANGER, key=key, until=world.clock.now())
    with pytest.raises(Unauthenticated, match=told):
        await world.subscriptions.require_valid(caller)
