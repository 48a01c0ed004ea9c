"""``/generate/{id}/events`` over in-memory ports."""

import asyncio
from functools import partial

import pytest

from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.job import Job
from comfyq.domain.job.preview import SmallPicture
from comfyq.domain.job.progress import Progress
from comfyq.edges.api.open_answers.event_stream import EventStream, StreamPace, event_of
from comfyq.edges.websocket.rendering import render_preview
from comfyq.services.limits.connect_limit import ConnectLimit
from tests.access_lab import ALL, OTHER, AccessLab
from tests.api_lab import output
from tests.event_lab import EventLab, Reader, reading

pytestmark = pytest.mark.anyio


@pytest.fixture
def lab() -> EventLab:
    return EventLab()


def path_of(job: Job, query: str = "") -> str:
    return f"/generate/{job.id}/events{query}"


def at_least(number: int, reader: Reader) -> bool:
    return len(reader.events) >= number


async def step(lab: EventLab, job: Job, number: int) -> Job:
    """Store a step of a running job and announce it."""
    progress = Progress(number / 10, number, 10, "KSampler")
    return await lab.announce(await lab.advance(job.id, progress))


async def finish(lab: EventLab, job: Job) -> Job:
    done = partial(jobs.succeed, token=1)
    return await lab.announce(await lab.change(job.id, done, outputs=[output()]))


async def test_a_job_is_told_from_its_present_to_its_end(lab: EventLab) -> None:
    job = await lab.submitted()
    async with reading(lab.app, path_of(job)) as reader:
        await reader.until(partial(at_least, 1))
        job = await lab.announce(await lab.start(job.id))
        await reader.until(partial(at_least, 2))
        await step(lab, job, 3)
        await reader.until(partial(at_least, 3))
        end = await finish(lab, job)
        await reader.end()
    assert (reader.status, reader.headers["content-type"]) == (
        200,
        "text/event-stream; charset=utf-8",
    )
    assert "content-length" not in reader.headers
    shown = [(each["event"], each["frame"]["status"]) for each in reader.events]
    assert shown == [
        ("status", "queued"),
        ("status", "running"),
        ("progress", "running"),
        ("status", "completed"),
    ]
    ids = [each["id"] for each in reader.events]
    assert ids == sorted(ids)
    assert ids == [each["frame"]["seq"] for each in reader.events]
    assert reader.events[-1]["frame"]["image_url"].startswith("http://127.0.0.1:8000/generate/")
    assert ids[-1] == end.version - 1, "of the end, not of the note that it was announced"
    assert (lab.streams.live, lab.followers) == ({}, set())


@pytest.mark.parametrize("query", ["", "?previews=1"])
async def test_a_stream_has_previews_for_who_asks(lab: EventLab, query: str) -> None:
    job = await lab.submitted()
    async with reading(lab.app, path_of(job, query)) as reader:
        await reader.until(partial(at_least, 1))
        [follower] = await lab.services.followers.of_job(job.id)
        assert follower.previews is bool(query)
        frame = render_preview(job, "3", SmallPicture(b"picture", "image/jpeg", 8, 8))
        await lab.services.ports.notifier.post(follower.connection, frame)
        await reader.until(lambda reader: b"event: preview\n" in reader.body)


@pytest.mark.parametrize("how", ["header", "query", "both"])
async def test_who_comes_back_is_told_what_is_newer_and_nothing_else(
    lab: EventLab, how: str
) -> None:
    job = await lab.start((await lab.submitted()).id)
    headers = {} if how == "query" else {"Last-Event-ID": str(job.version)}
    query = {"header": "", "query": f"?since={job.version}", "both": "?since=1"}[how]
    async with reading(lab.app, path_of(job, query), headers=headers) as reader:
        await reader.until(lambda reader: b"retry" in reader.body)
        await step(lab, job, 4)
        await reader.until(partial(at_least, 1))
        assert [each["frame"]["step"] for each in reader.events] == [4]
        older = job  # as if another process had posted it late
        await lab.announce(older)
        await finish(lab, job)
        await reader.end()
    assert [each["frame"]["status"] for each in reader.events][1:] == ["completed"]


@pytest.mark.parametrize("event_id", ["", "x", "-1", "1.5", "²", "9" * 400])
async def test_what_is_no_event_s_id_counts_as_none(lab: EventLab, event_id: str) -> None:
    job = await lab.succeed((await lab.submitted()).id, output())
    seen = {"Last-Event-ID": event_id}
    async with reading(lab.app, path_of(job), headers=seen) as reader:
        await reader.end()
    assert [each["frame"]["status"] for each in reader.events] == ["completed"]


async def test_who_missed_something_is_told_the_present_at_once(lab: EventLab) -> None:
    job = await lab.start((await lab.submitted()).id)
    seen = {"Last-Event-ID": str(job.version - 1)}
    async with reading(lab.app, path_of(job), headers=seen) as reader:
        await reader.until(partial(at_least, 1))
    assert reader.events[0]["id"] == job.version


async def test_an_end_is_told_once_and_then_there_is_nothing(lab: EventLab) -> None:
    job = await lab.succeed((await lab.submitted()).id, output())
    async with reading(lab.app, path_of(job)) as reader:
        await reader.end()
    assert [each["frame"]["status"] for each in reader.events] == ["completed"]
    seen = {"Last-Event-ID": str(reader.events[-1]["id"])}
    async with reading(lab.app, path_of(job), headers=seen) as again:
        await again.end()
    assert (again.status, again.body) == (204, b""), "browsers stop here"


async def test_who_goes_away_is_forgotten(lab: EventLab) -> None:
    job = await lab.submitted()
    async with reading(lab.app, path_of(job)) as reader:
        await reader.until(partial(at_least, 1))
        assert len(lab.streams.live) == 1
        reader.leave()
        await reader.end()
        assert (lab.streams.live, lab.followers) == ({}, set())


async def test_who_reads_slowly_holds_nobody_up_and_is_told_the_end(lab: EventLab) -> None:
    job = await lab.start((await lab.submitted()).id)
    async with reading(lab.app, path_of(job)) as slow, reading(lab.app, path_of(job)) as quick:
        await slow.until(partial(at_least, 1))
        await quick.until(partial(at_least, 1))
        slow.pause()
        for number in range(1, 9):
            await step(lab, job, number)
            await quick.until(partial(at_least, 1 + number))
        await finish(lab, job)
        await quick.end()
        assert len(slow.events) == 1
        slow.go_on()
        await slow.end()
    assert quick.events[-1]["frame"]["status"] == slow.events[-1]["frame"]["status"] == "completed"
    assert len(slow.events) <= 3, "one that it was about to read, and the end"


async def test_a_revoked_key_ends_its_streams_and_no_other(lab: EventLab) -> None:
    keyed = EventLab(COMFYQ_AUTH="keys")
    owner = await keyed.key()
    made, text = await keyed.keys.create(DEFAULT_TENANT, "leaked", ALL, lives=None)
    job_id = keyed.ask("POST", "/generate", owner, json={"prompt": "a fox"}).json()["id"]
    path = f"/generate/{job_id}/events"
    async with reading(keyed.app, path, text) as leaked, reading(keyed.app, path, owner) as other:
        await leaked.until(partial(at_least, 1))
        await other.until(partial(at_least, 1))
        await keyed.keys.revoke(made.id)
        await leaked.end()
        assert not other.is_over
        assert len(keyed.streams.live) == 1


async def test_a_ticket_opens_one_stream_that_ends_with_its_key() -> None:
    keyed = EventLab(COMFYQ_AUTH="keys")
    made, text = await keyed.keys.create(DEFAULT_TENANT, "page", ALL, lives=None)
    job_id = keyed.ask("POST", "/generate", text, json={"prompt": "a fox"}).json()["id"]
    ticket = keyed.ask("POST", "/ws-ticket", text, json={"job_id": job_id}).json()["ticket"]
    path = f"/generate/{job_id}/events?ticket={ticket}"
    async with reading(keyed.app, path) as shown:
        await shown.until(partial(at_least, 1))
        async with reading(keyed.app, path) as again:
            await again.end()
        assert (again.status, again.json["code"]) == (401, "unauthenticated")
        assert not shown.is_over
        await keyed.keys.revoke(made.id)
        await shown.end()
    assert (keyed.streams.live, keyed.followers) == ({}, set())


async def test_a_client_opens_so_many_streams_a_minute() -> None:
    keyed = EventLab(COMFYQ_AUTH="keys")
    keyed.services.connect_limit = ConnectLimit(most=1, now_s=lambda: 0.0)
    owner, other = await keyed.key(), await keyed.key()
    job_id = keyed.ask("POST", "/generate", owner, json={"prompt": "a fox"}).json()["id"]
    path = f"/generate/{job_id}/events"
    async with reading(keyed.app, path, owner) as first, reading(keyed.app, path, other) as others:
        await first.until(partial(at_least, 1))
        await others.until(partial(at_least, 1))
        async with reading(keyed.app, path, owner) as again:
            await again.end()
        assert (again.status, again.json["code"]) == (429, "rate-limited")
        assert len(keyed.streams.live) == 2


async def test_another_tenants_job_is_not_there(lab: EventLab) -> None:
    keyed = EventLab(COMFYQ_AUTH="keys")
    owner, stranger = await keyed.key(), await keyed.key(tenant=OTHER)
    job_id = keyed.ask("POST", "/generate", owner, json={"prompt": "a fox"}).json()["id"]
    answer = keyed.ask("GET", f"/generate/{job_id}/events", stranger)
    assert (answer.status_code, answer.json()["code"]) == (404, "job-not-found")


async def test_there_are_no_more_streams_than_there_may_be() -> None:
    lab = EventLab(most_streams=1)
    job = await lab.submitted()
    async with reading(lab.app, path_of(job)) as first:
        await first.until(partial(at_least, 1))
        async with reading(lab.app, path_of(job)) as second:
            await second.end()
    assert (second.status, second.json["code"]) == (503, "too-many-streams")


async def test_where_no_answer_stays_open_the_other_ways_are_named() -> None:
    lab = AccessLab(COMFYQ_AUTH="none")
    answer = lab.client.get(f"/generate/{lab.submit()['id']}/events")
    assert (answer.status_code, answer.json()["code"]) == (501, "streams-not-served")
    for way in ("Prefer: wait=", "urls.ws"):
        assert way in answer.json()["detail"]


async def test_a_server_that_stops_ends_its_streams(lab: EventLab) -> None:
    job = await lab.submitted()
    async with reading(lab.app, path_of(job)) as reader:
        await reader.until(partial(at_least, 1))
        lab.streams.stop()
        await reader.end()
    assert reader.events[-1]["frame"]["status"] == "queued"


async def test_a_quiet_stream_shows_that_it_lives(lab: EventLab) -> None:
    job = await lab.submitted()
    with lab.streams.opened("here", job.id) as stream:
        reader = Reader()
        reader.go_on()

        class Opened:
            async def __aenter__(self) -> object:
                return stream

            async def __aexit__(self, *_: object) -> None:
                return None

        answer = EventStream(Opened(), pace=StreamPace(heartbeat_s=0.01))  # type: ignore[arg-type]
        task = asyncio.create_task(answer({}, reader.receive, reader.send))
        task.add_done_callback(reader.finish)
        await reader.until(lambda reader: reader.body.count(b"\n: ") >= 2)
        reader.leave()
        await reader.end()
    assert reader.events == []


def test_an_event_has_the_frames_kind() -> None:
    assert (
        event_of('{"seq":3,"kind":"batch"}')
        == b'id: 3\nevent: batch\ndata: {"seq":3,"kind":"batch"}\n\n'
    )
    assert event_of('{"type":"error"}').startswith(b"event: error\n")
