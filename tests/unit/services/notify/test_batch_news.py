"""What followers of a batch are told, and what that costs."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import anyio
import pytest

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.bootstrap.services import Services
from comfyq.domain import job as jobs
from comfyq.domain.errors import NotifierUnavailable, QueueUnavailable
from comfyq.domain.job import Job, JobError, JobId
from comfyq.domain.job.preview import SmallPicture
from comfyq.domain.submission.batch import BatchId
from comfyq.edges.websocket.rendering import render_preview
from comfyq.ports.notifier import Connection
from comfyq.ports.table import Item, Key, Page
from comfyq.services.notify.batch_news import LEAST_PAUSE, PAUSE_A_JOB
from tests.access_lab import FOX, OTHER
from tests.api_lab import output
from tests.batch_lab import SOCKET, BatchLab, socket_lab
from tests.event_lab import Reader, reading
from tests.log_lines import logged
from tests.socket_events import connected, event

pytestmark = pytest.mark.anyio


@pytest.fixture
def lab() -> BatchLab:
    return BatchLab()


def at_least(number: int, reader: Reader) -> bool:
    return len(reader.events) >= number


async def test_a_batch_is_streamed_from_its_present_to_its_end(lab: BatchLab) -> None:
    batch_id, job_ids = lab.batch(3)
    async with reading(lab.app, f"/generate/batch/{batch_id}/events") as reader:
        await reader.until(partial(at_least, 1))
        lab.clock.advance(2)
        await lab.announce(await lab.start(job_ids[0]))
        await reader.until(partial(at_least, 2))
        for job_id in job_ids[1:]:
            await lab.finish(job_id)
        ended = partial(jobs.succeed, token=1)
        await lab.announce(await lab.change(job_ids[0], ended, outputs=[output("a.png")]))
        await reader.end()
    assert {each["event"] for each in reader.events} == {"batch"}
    frames = [each["frame"] for each in reader.events]
    assert frames[0]["counts"]["queued"] == 3
    assert (frames[1]["counts"]["running"], frames[1]["done"]) == (1, False)
    assert (frames[-1]["counts"]["completed"], frames[-1]["done"]) == (3, True)
    assert frames[-1]["progress"] == 1
    ids = [each["id"] for each in reader.events]
    assert ids == sorted(ids)
    assert lab.followers == set()
    shown = lab.client.get(f"/generate/batch/{batch_id}").json()
    assert {name: shown[name] for name in ("counts", "size", "done", "progress")} == {
        name: frames[-1][name] for name in ("counts", "size", "done", "progress")
    }
    for status in (200, 204):  # the end was noted as announced, which is a version more
        seen = {"Last-Event-ID": str(ids[-1])}
        async with reading(lab.app, f"/generate/batch/{batch_id}/events", headers=seen) as again:
            await again.end()
        assert again.status == status
        ids += [each["id"] for each in again.events if each["frame"]["done"]]
    assert len(ids) == len(frames) + 1


async def reads_a_job(size: int) -> float:
    """End all jobs of a followed batch within a moment; return how many reads each has cost."""
    lab = await socket_lab()
    batch_id, job_ids = lab.batch(size)
    await lab.send("subscribe", batch_id=batch_id)
    assert [frame["counts"]["queued"] for frame in lab.frames] == [size]
    reads = count_reads(lab)
    for job_id in job_ids:
        await lab.finish(job_id)
    assert [frame["done"] for frame in lab.frames] == [False, True]
    assert lab.frames[-1]["counts"]["completed"] == size
    return sum(reads[f"JOB#{job_id}"] for job_id in job_ids) / size


async def test_an_end_costs_the_same_however_many_jobs_there_are() -> None:
    few, many = await reads_a_job(10), await reads_a_job(80)
    assert many < 1.5 * few


async def test_frames_come_once_in_a_while() -> None:
    lab = await socket_lab()
    batch_id, job_ids = lab.batch(4)
    await lab.send("subscribe", batch_id=batch_id)
    pause = max(LEAST_PAUSE, PAUSE_A_JOB * 4).total_seconds()
    for number, job_id in enumerate(job_ids[:3]):
        lab.clock.advance(pause / 2)
        await lab.finish(job_id)
        assert len(lab.frames) == 1 + (number + 1) // 2


async def told(lab: BatchLab, frames: int) -> None:
    with anyio.fail_after(10):
        while len(lab.frames) < frames:  # noqa: ASYNC110 - a task of the code posts them
            await anyio.sleep(0.005)


async def test_what_changes_within_the_pause_is_told_at_its_end_once_and_to_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("comfyq.services.notify.batch_news.LEAST_PAUSE", timedelta(seconds=0.05))
    lab = await socket_lab()
    batch_id, job_ids = lab.batch(3)
    await lab.send("subscribe", batch_id=batch_id)
    post, failures = lab.notifier.post, [NotifierUnavailable("for a moment")]

    async def failing(connection: Connection, frame: bytes) -> None:
        if failures:
            raise failures.pop()
        await post(connection, frame)

    monkeypatch.setattr(lab.notifier, "post", failing)
    await lab.finish(job_ids[0])
    await lab.announce(await lab.start(job_ids[1]))
    assert len(lab.frames) == 1, "too early, and then nothing changes for long"
    await told(lab, 2)
    counts = lab.frames[-1]["counts"]
    assert (counts["completed"], counts["running"], counts["queued"]) == (1, 1, 1)
    monkeypatch.setattr("comfyq.services.notify.batch_news.LEAST_PAUSE", timedelta(hours=1))
    ended = partial(jobs.succeed, token=1)
    await lab.announce(await lab.change(job_ids[1], ended, outputs=[output("b.png")]))
    await lab.finish(job_ids[2])
    assert [frame["done"] for frame in lab.frames] == [False, False, True]
    await lab.services.batch_news.tell_put_off()
    assert len(lab.frames) == 3, "the end told of what had been put off"


async def test_a_change_while_a_frame_is_being_made_is_told_after_it() -> None:
    """The frame may have read what was before."""
    lab = await socket_lab()
    batch_id, job_ids = lab.batch(3)
    await lab.send("subscribe", batch_id=batch_id)
    other = Services(lab.services.settings, lab.services.ports)  # knows nothing of the batch
    first = await lab.succeed(job_ids[0], output())
    read, left, has_read, go_on = other.records.get, [*job_ids], asyncio.Event(), asyncio.Event()

    async def slow(job_id: JobId) -> Job:
        job = await read(job_id)
        if job_id in left:  # for the frame of the first change
            left.remove(job_id)
            if not left:
                has_read.set()
            await go_on.wait()
        return job

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(other.records, "get", slow)
        async with asyncio.TaskGroup() as group:
            group.create_task(other.announcer.announce(first))
            await has_read.wait()
            await other.announcer.announce(await lab.succeed(job_ids[1], output()))
            go_on.set()
    assert lab.frames[-1]["counts"]["completed"] == 1
    await other.batch_news.tell_put_off()
    assert lab.frames[-1]["counts"]["completed"] == 2


async def test_a_process_that_ends_tells_what_it_has_put_off() -> None:
    lab = await socket_lab()
    batch_id, job_ids = lab.batch(2)
    await lab.send("subscribe", batch_id=batch_id)
    await lab.finish(job_ids[0])
    assert len(lab.frames) == 1
    await lab.services.batch_news.tell_put_off()
    assert lab.frames[-1]["counts"]["completed"] == 1


@pytest.mark.parametrize(
    ("failure", "said"),
    [(NotifierUnavailable("away"), "batch_untold"), (ValueError("a defect"), "batch_not_told")],
)
async def test_a_process_that_ends_tells_of_each_batch_and_says_which_it_could_not(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, said: str
) -> None:
    lab = await socket_lab()
    batches = dict(lab.batch(2) for _ in range(2))
    for batch_id, job_ids in batches.items():
        await lab.send("subscribe", batch_id=batch_id)
        await lab.finish(job_ids[0])
    assert len(lab.frames) == 2
    post, (first, last) = lab.notifier.post, batches  # the last one is posted first

    async def failing(connection: Connection, frame: bytes) -> None:
        if last.encode() in frame:
            raise failure
        await post(connection, frame)

    monkeypatch.setattr(lab.notifier, "post", failing)
    with logged() as lines:
        await lab.services.batch_news.tell_put_off()
    assert (lab.frames[-1]["batch_id"], lab.frames[-1]["counts"]["completed"]) == (first, 1)
    assert [line["batch"] for line in lines if line["event"] == said] == [last]


async def test_a_process_that_ends_waits_for_the_frame_that_is_being_posted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("comfyq.services.notify.batch_news.LEAST_PAUSE", timedelta(seconds=0.01))
    lab = await socket_lab()
    batch_id, job_ids = lab.batch(2)
    await lab.send("subscribe", batch_id=batch_id)
    post, begun, go_on = lab.notifier.post, asyncio.Event(), asyncio.Event()

    async def slow(connection: Connection, frame: bytes) -> None:
        begun.set()
        await go_on.wait()
        await post(connection, frame)

    monkeypatch.setattr(lab.notifier, "post", slow)
    await lab.finish(job_ids[0])
    await begun.wait()
    ending = asyncio.create_task(lab.services.batch_news.tell_put_off())
    await anyio.wait_all_tasks_blocked()
    assert not ending.done()
    go_on.set()
    await ending
    assert lab.frames[-1]["counts"]["completed"] == 1


class Late:
    """The queue of frames that others post."""

    def __init__(self) -> None:
        self.asked: list[tuple[BatchId, JobId]] = []
        self.delay_s = 0.0  # of the last one
        self.is_away = False

    async def ask(self, batch_id: BatchId, by: JobId, *, delay_s: float) -> None:
        if self.is_away:
            raise QueueUnavailable("for a moment")
        self.asked.append((batch_id, by))
        self.delay_s = delay_s


async def test_a_process_that_stands_still_has_another_one_tell_what_it_has_put_off() -> None:
    """A Lambda function's timers end with its next event, which may never come."""
    lab, late = await socket_lab(), Late()
    batch_id, job_ids = lab.batch(6)
    await lab.send("subscribe", batch_id=batch_id)
    ports = replace(lab.services.ports, late_frames=late, stands_still=True)
    function, sender = (Services(lab.services.settings, ports) for _ in range(2))

    async def end(number: int) -> None:
        await function.announcer.announce(await lab.succeed(job_ids[number], output()))

    def completed() -> int:
        return int(lab.frames[-1]["counts"]["completed"])

    for number in range(3):
        await end(number)
    assert completed() == 1, "too early"
    assert late.asked == [(batch_id, job_ids[1])], "once for all that changes until then"
    await function.batch_news.tell_put_off()
    assert completed() == 1, "there is no timer"
    lab.clock.advance(late.delay_s)
    await sender.batch_news.tell_late(*late.asked[0])
    assert completed() == 3

    await end(3)
    told = len(lab.frames)
    await end(4)
    assert len(late.asked) == 2, "what came of the first one was read before"
    await sender.batch_news.tell_late(*late.asked[1])  # it comes too early, or twice
    assert (len(lab.frames), len(late.asked)) == (told, 3), "it is put off again"
    lab.clock.advance(late.delay_s)
    await sender.batch_news.tell_late(*late.asked[2])
    assert completed() == 5


async def test_what_cannot_be_put_off_is_told_at_once() -> None:
    lab, late = await socket_lab(), Late()
    batch_id, job_ids = lab.batch(3)
    await lab.send("subscribe", batch_id=batch_id)
    ports = replace(lab.services.ports, late_frames=late, stands_still=True)
    function, late.is_away = Services(lab.services.settings, ports), True
    for number in range(2):
        await function.announcer.announce(await lab.succeed(job_ids[number], output()))
        assert lab.frames[-1]["counts"]["completed"] == number + 1


async def test_what_was_put_off_for_a_job_that_is_deleted_meanwhile_is_told_all_the_same() -> None:
    lab, late = await socket_lab(), Late()
    batch_id, job_ids = lab.batch(3)
    await lab.send("subscribe", batch_id=batch_id)
    ports = replace(lab.services.ports, late_frames=late, stands_still=True)
    function, sender = (Services(lab.services.settings, ports) for _ in range(2))
    await function.announcer.announce(await lab.start(job_ids[0]))
    await function.purge.purge(OWNER, job_ids[1])
    counts = lab.frames[-1]["counts"]
    assert (counts["running"], counts["queued"]) == (1, 2)
    await sender.batch_news.tell_late(*late.asked[0])
    counts = lab.frames[-1]["counts"]
    assert (counts["running"], counts["queued"], counts["gone"]) == (1, 1, 1)


async def test_a_clock_that_is_set_back_holds_no_frame_up() -> None:
    lab = await socket_lab()
    batch_id, job_ids = lab.batch(3)
    await lab.send("subscribe", batch_id=batch_id)
    lab.clock.advance(-3_600)
    await lab.finish(job_ids[0])
    assert lab.frames[-1]["counts"]["completed"] == 1


async def test_whichever_process_stores_the_last_end_tells_it() -> None:
    lab = await socket_lab()
    other = Services(lab.services.settings, lab.services.ports)
    batch_id, job_ids = lab.batch(2)
    await lab.send("subscribe", batch_id=batch_id)
    first = await lab.succeed(job_ids[0], output())
    last = await lab.succeed(job_ids[1], output())
    await lab.announce(first)  # while it is known here that the other goes on
    await other.announcer.announce_end(last)
    assert lab.frames[-1]["done"]


async def failed_and_tried_again(lab: BatchLab, job_id: JobId) -> JobId:
    """Let a job fail, followers be told, and the job be tried again; return the retry."""
    await lab.announce(await lab.fail(job_id, JobError("out-of-memory", "too large")))
    return JobId(lab.client.post(f"/generate/{job_id}/retry").json()["id"])


async def test_the_end_of_a_retry_is_the_end_of_the_batch() -> None:
    lab = await socket_lab()
    batch_id, job_ids = lab.batch(2)
    await lab.send("subscribe", batch_id=batch_id)
    lab.clock.advance(5)
    retry = await failed_and_tried_again(lab, job_ids[0])
    await lab.finish(job_ids[1])
    assert not any(frame["done"] for frame in lab.frames), "the retry goes on"
    other = Services(lab.services.settings, lab.services.ports)
    ended = await lab.succeed(retry, output())
    await other.announcer.announce_end(ended)
    assert lab.frames[-1]["done"]
    assert lab.frames[-1]["counts"]["completed"] == 2
    seen = [frame["seq"] for frame in lab.frames]
    assert seen == sorted(seen), "what is dropped as older by who follows"


async def test_a_retry_is_followed_that_is_made_after_its_job_was_shown_as_failed() -> None:
    lab = await socket_lab()
    other = Services(lab.services.settings, lab.services.ports)
    batch_id, job_ids = lab.batch(3)
    await lab.send("subscribe", batch_id=batch_id)  # known here, with all that fails
    lab.clock.advance(5)
    broken = await lab.fail(job_ids[0], JobError("out-of-memory", "too large"))
    await lab.announce(broken)
    assert await connected(lab.sockets, "c2=", None) == (200, "")
    body = json.dumps({"action": "subscribe", "batch_id": batch_id})
    await lab.sockets.handle(event("subscribe", "c2=", body=body))
    again = lab.client.post(f"/generate/batch/{batch_id}/retry").json()
    [retry] = [item["job"]["id"] for item in again["items"]]
    await lab.finish(job_ids[1])
    await lab.finish(job_ids[2])
    for socket in (SOCKET, "c2="):
        assert not lab.notifier.frames(socket)[-1]["done"]
    await other.announcer.announce_end(await lab.succeed(JobId(retry), output()))
    for socket in (SOCKET, "c2="):
        assert lab.notifier.frames(socket)[-1]["done"]


async def test_who_has_seen_the_present_is_sent_what_is_newer_alone() -> None:
    lab = await socket_lab()
    batch_id, job_ids = lab.batch(2)
    await lab.send("subscribe", batch_id=batch_id)
    seen = lab.frames[-1]["seq"]
    await lab.send("subscribe", batch_id=batch_id, since=seen)
    assert len(lab.frames) == 1
    await lab.send("unsubscribe", batch_id=batch_id)
    assert lab.frames[-1] == {"type": "unsubscribed", "job_ids": [], "batch_id": batch_id}
    await lab.finish(job_ids[0])
    assert len(lab.frames) == 2, "it follows no more"
    await lab.send("subscribe", batch_id=batch_id, since=seen)
    assert lab.frames[-1]["counts"]["completed"] == 1


async def test_who_follows_a_batch_has_previews_of_all_its_jobs_if_it_asks() -> None:
    lab = await socket_lab()
    batch_id, job_ids = lab.batch(2)
    await lab.send("subscribe", batch_id=batch_id, previews=True)
    assert await connected(lab.sockets, "plain=", None) == (200, "")
    body = json.dumps({"action": "subscribe", "batch_id": batch_id})
    await lab.sockets.handle(event("subscribe", "plain=", body=body))

    async def wishes(job_id: JobId) -> dict[str, bool]:
        followers = await lab.services.followers.of_job(job_id)
        return {each.connection.id: each.previews for each in followers}

    wished = {SOCKET: True, "plain=": False}
    assert [await wishes(each) for each in job_ids] == [wished] * 2
    retry = await failed_and_tried_again(lab, job_ids[0])
    assert await wishes(retry) == wished


async def test_a_stream_of_a_batch_has_previews_for_who_asks(lab: BatchLab) -> None:
    batch_id, job_ids = lab.batch(1)
    async with reading(lab.app, f"/generate/batch/{batch_id}/events?previews=1") as reader:
        await reader.until(partial(at_least, 1))
        [follower] = await lab.services.followers.of_job(job_ids[0])
        assert follower.previews
        job = await lab.records.get(job_ids[0])
        frame = render_preview(job, "3", SmallPicture(b"picture", "image/jpeg", 8, 8))
        await lab.services.ports.notifier.post(follower.connection, frame)
        await reader.until(lambda reader: b"event: preview\n" in reader.body)


async def test_another_tenants_batch_is_not_there() -> None:
    lab = BatchLab(COMFYQ_AUTH="keys", is_socket=True)
    owner, stranger = await lab.key(), await lab.key(tenant=OTHER)
    refused = {"prompt": "a fox", "workflow": "none"}
    sent = lab.ask("POST", "/generate/batch", owner, json={"requests": [refused, *[FOX] * 20]})
    theirs = sent.json()["batch_id"]
    await connected(lab.sockets, SOCKET, stranger)
    calls = count_calls(lab)
    costs = []
    for number, batch_id in enumerate((theirs, theirs[:-8] + "00000000")):
        calls.clear()
        await lab.send("subscribe", batch_id=batch_id)
        costs.append(calls.copy())
        frame = lab.frames[number]
        assert (frame["code"], frame["batch_id"]) == ("batch-not-found", batch_id)
    assert costs[0] == costs[1], "nobody can tell by what it costs that there is such a batch"
    assert costs[0].total() < 5
    for path in (f"/generate/batch/{theirs}", f"/generate?batch={theirs}"):
        calls.clear()
        assert lab.ask("GET", path, stranger).status_code == 404
        assert calls.total() < 5, path


def count_calls(lab: BatchLab) -> Counter[str]:
    """Count the reads of items and the queries from now on."""
    calls = Counter[str]()
    get, query = lab.table.get, lab.table.query

    async def counted_get(key: Key) -> Item | None:
        calls["get"] += 1
        return await get(key)

    async def counted_query(*asked: Any, **how: Any) -> Page:
        calls["query"] += 1
        return await query(*asked, **how)

    lab.table.get = counted_get  # type: ignore[method-assign]
    lab.table.query = counted_query  # type: ignore[method-assign]
    return calls


def count_reads(lab: BatchLab) -> Counter[str]:
    """Count the reads by key from now on."""
    reads = Counter[str]()
    get = lab.table.get

    async def counted(key: Key) -> Item | None:
        reads[key[0]] += 1
        return await get(key)

    lab.table.get = counted  # type: ignore[method-assign]
    return reads
