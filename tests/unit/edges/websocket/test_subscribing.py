"""``subscribe`` and ``unsubscribe`` about several jobs, over in-memory adapters."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from comfyq.adapters.authentication.local_owner import LocalOwner
from comfyq.domain.errors import NotifierUnavailable
from comfyq.domain.job import JobId
from comfyq.edges.websocket.handler import WebSocketHandler
from comfyq.ports.notifier import Connection
from comfyq.services.limits.frame_limit import FrameLimit
from comfyq.testing.memory.notifier import MemoryNotifier
from tests.batch_lab import BatchLab
from tests.followed_jobs import FollowedJobs
from tests.socket_events import connected, event

pytestmark = pytest.mark.anyio

SOCKET = "c1="
IDS = [f"job-{number}" for number in range(1, 101)]


class Client:
    """A socket that is open; it sends frames and reads what it was posted since."""

    def __init__(
        self, limit: FrameLimit | None = None, *, notifier: MemoryNotifier | None = None
    ) -> None:
        self.notifier = notifier or MemoryNotifier()
        self.world = FollowedJobs(self.notifier)
        self.handler = self.another(limit)
        self.statuses: list[int] = []  # of the frames that were sent
        self._read = Counter[str]()

    def another(self, limit: FrameLimit | None = None) -> WebSocketHandler:
        """Return the handler of another process."""
        return WebSocketHandler(
            subscriptions=self.world.subscriptions,
            notifier=self.notifier,
            authenticator=LocalOwner(),
            limit=limit,
        )

    async def send(
        self, action: str, *, socket: str = SOCKET, **fields: Any
    ) -> list[dict[str, Any]]:
        body = json.dumps({"action": action, **fields})
        answer = await self.handler.handle(event(action, socket, body=body))
        self.statuses.append(answer["statusCode"])
        return self.read(socket)

    def read(self, socket: str = SOCKET) -> list[dict[str, Any]]:
        frames = self.notifier.frames(socket)[self._read[socket] :]
        self._read[socket] += len(frames)
        return frames

    def count_calls(self) -> list[str]:
        """Return a list to which each call of the table from now on is added."""
        calls, table = list[str](), self.world.table

        def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
            def counting(*given: Any, **how: Any) -> Any:
                calls.append(name)
                return call(*given, **how)

            return counting

        for name in ("get", "query", "write"):
            setattr(table, name, counted(name, getattr(table, name)))
        return calls

    async def followed(self) -> list[str]:
        return [each for each in IDS if await self.world.followers.of_job(JobId(each))]


@pytest.fixture
async def client() -> Client:
    client = Client()
    assert await connected(client.handler, SOCKET, None) == (200, "")
    return client


async def test_a_hundred_jobs_are_followed_by_one_frame(client: Client) -> None:
    for each in IDS:
        await client.world.submitted(each)
    frames = await client.send("subscribe", job_ids=IDS)
    assert sorted(frame["job_id"] for frame in frames) == sorted(IDS)
    assert await client.followed() == IDS
    [refused] = await client.send("subscribe", job_ids=[*IDS, "job-101"])
    assert (refused["code"], "job_ids" in refused["message"]) == ("invalid-request", True)
    [left] = await client.send("unsubscribe", job_ids=IDS[1:])
    assert (left["type"], left["job_ids"]) == ("unsubscribed", IDS[1:])
    assert await client.followed() == IDS[:1]


async def test_a_job_that_is_not_there_is_named_and_the_others_are_followed(
    client: Client,
) -> None:
    await client.world.submitted("job-1")
    await client.world.submitted("job-2", tenant="stranger")
    frames = await client.send("subscribe", job_ids=["job-1", "job-2", "job-3", "job-1"])
    told = {frame["job_id"]: frame.get("code", frame.get("status")) for frame in frames}
    assert told == {"job-1": "queued", "job-2": "job-not-found", "job-3": "job-not-found"}
    assert len(frames) == 3
    assert await client.followed() == ["job-1"]


async def test_who_has_seen_a_version_is_sent_what_is_newer_alone(client: Client) -> None:
    job = await client.world.running("job-1")
    await client.world.submitted("job-2")
    assert await client.send("subscribe", job_id="job-1", since=job.version) == []
    await client.world.announcer.announce(await client.world.advance(job, 1))
    assert [frame["step"] for frame in client.read()] == [1]
    [frame] = await client.send("subscribe", job_id="job-1", since=job.version)
    assert frame["step"] == 1
    seen = {"job-1": job.version + 1}
    [frame] = await client.send("subscribe", job_ids=["job-1", "job-2"], since=seen)
    assert frame["job_id"] == "job-2"


async def test_who_unsubscribes_hears_no_more(client: Client) -> None:
    job = await client.world.running("job-1")
    await client.send("subscribe", job_id="job-1")
    await client.send("unsubscribe", job_id="job-1")
    await client.world.announcer.announce(await client.world.advance(job, 1))
    assert client.read() == []
    assert await client.send("unsubscribe", job_id="job-1"), "again is no error"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"job_id": "a", "job_ids": ["b"]},
        {"job_ids": []},
        {"job_ids": "a"},
        {"job_ids": ["☃"] * 100},
        {"job_id": "a", "since": "1"},
    ],
)
async def test_a_frame_that_names_nothing_well_is_refused_in_few_words(
    client: Client, fields: dict[str, Any]
) -> None:
    [frame] = await client.send("subscribe", **fields)
    assert (frame["type"], frame["code"]) == ("error", "invalid-request")
    assert len(frame["message"]) < 1_000


class Throttled(MemoryNotifier):
    """Refuses the next posts, as API Gateway does when there are too many."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals = 0

    async def post(self, connection: Connection, frame: bytes) -> None:
        if self.refusals:
            self.refusals -= 1
            raise NotifierUnavailable("429")
        await super().post(connection, frame)


async def test_first_frames_that_cannot_be_posted_are_tried_again_and_else_the_socket_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What has ended is told by the first frame alone: whoever lacks it would wait for ever."""
    monkeypatch.setattr("comfyq.edges.websocket.handler.PAUSES_S", (0, 0))
    notifier = Throttled()
    client = Client(notifier=notifier)
    assert await connected(client.handler, SOCKET, None) == (200, "")
    await client.world.announcer.announce_end(
        await client.world.succeed(await client.world.running("job-1"))
    )
    await client.world.submitted("job-2")
    notifier.refusals = 4  # the first try of each, and the second of one
    frames = await client.send("subscribe", job_ids=["job-1", "job-2", "job-3"])
    told = sorted((frame["job_id"], frame.get("code", frame.get("status"))) for frame in frames)
    assert told == [("job-1", "completed"), ("job-2", "queued"), ("job-3", "job-not-found")]
    assert notifier.gone == set()
    notifier.refusals = 3
    assert await client.send("subscribe", job_id="job-1") == []
    assert notifier.gone == {SOCKET}, "the client comes again"


async def test_a_batch_whose_first_frame_cannot_be_posted_is_tried_again_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("comfyq.edges.websocket.handler.PAUSES_S", (0, 0))
    lab = BatchLab(is_socket=True, notifier=Throttled())
    assert await connected(lab.sockets, SOCKET, None) == (200, "")
    batch_id, _ = lab.batch(1)
    assert isinstance(lab.notifier, Throttled)
    lab.notifier.refusals = 2
    await lab.send("subscribe", batch_id=batch_id)
    assert [frame["batch_id"] for frame in lab.frames] == [batch_id]
    lab.notifier.refusals = 3
    await lab.send("subscribe", batch_id=batch_id)
    assert (len(lab.frames), lab.notifier.gone) == (1, {SOCKET})


# --- too much at once


async def test_a_client_that_names_too_many_jobs_is_refused_before_anything_is_read() -> None:
    now_s = 0.0
    client = Client(FrameLimit(of_socket=240, of_client=360, now_s=lambda: now_s))
    await client.world.submitted("job-1")
    sockets = ("c1=", "c2=")
    for socket in sockets:
        assert await connected(client.handler, socket, None) == (200, "")
    assert len(await client.send("subscribe", job_ids=IDS)) == 100
    assert len(await client.send("unsubscribe", job_ids=IDS)) == 1
    calls = client.count_calls()
    refusals = [
        await client.send("subscribe", job_ids=IDS),
        await client.send("unsubscribe", job_ids=IDS),
        await client.send("subscribe", batch_id="batch-1"),
    ]
    assert (client.statuses[-3:], calls) == ([429] * 3, [])
    named = [
        {name: frame[name] for name in ("job_id", "job_ids", "batch_id", "retry_after_s")}
        for [frame] in refusals
    ]
    nothing = {"job_id": None, "job_ids": None, "batch_id": None}
    assert named == [
        nothing | {"job_ids": IDS, "retry_after_s": 15},
        nothing | {"job_ids": IDS, "retry_after_s": 15},
        nothing | {"batch_id": "batch-1", "retry_after_s": 50},  # a debt, when none is missing
    ]
    assert {frame["code"] for [frame] in refusals} == {"rate-limited"}
    [told] = await client.send("subscribe", job_id="job-1")
    assert told["status"] == "queued", "what there is room for is followed"
    assert calls, "that is read"
    assert len(await client.send("subscribe", socket="c2=", job_ids=IDS)) == 100
    [refused] = await client.send("subscribe", socket="c2=", job_ids=IDS)
    assert "all sockets of your tenant" in refused["message"]
    now_s = refused["retry_after_s"]
    assert len(await client.send("subscribe", socket="c2=", job_ids=IDS)) == 100


async def test_frames_that_say_nothing_are_counted_too() -> None:
    client = Client(FrameLimit(of_socket=3, now_s=lambda: 0.0))
    assert await connected(client.handler, SOCKET, None) == (200, "")
    told = [*await client.send("ping"), *await client.send("subscribe"), *await client.send("x")]
    assert [each.get("code", each["type"]) for each in told] == ["pong", *["invalid-request"] * 2]
    for action in ("ping", "subscribe", "x"):
        [refused] = await client.send(action)
        assert (refused["code"], refused["retry_after_s"]) == ("rate-limited", 20)


async def test_a_process_that_did_not_let_a_socket_in_learns_whose_it_is() -> None:
    """As on AWS, where frames reach other processes of the function than the handshake did."""
    client = Client()
    for socket in ("c1=", "c2="):
        assert await connected(client.handler, socket, None) == (200, "")
    client.handler = client.another(FrameLimit(of_client=100, now_s=lambda: 0.0))
    for socket in ("c1=", "c2="):
        assert len(await client.send("subscribe", socket=socket, job_ids=IDS)) == 100
    assert len(await client.send("subscribe", socket="c1=", job_ids=IDS)) == 100
    [refused] = await client.send("subscribe", socket="c2=", job_ids=IDS)
    assert refused["code"] == "rate-limited"
