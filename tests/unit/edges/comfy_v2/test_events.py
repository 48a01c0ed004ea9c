"""``/api/v2/jobs/{id}/events`` over in-memory ports."""

import json
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from comfyq.domain import job as jobs
from comfyq.domain.caller import Caller
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import Job, JobId
from comfyq.domain.job.preview import SmallPicture
from comfyq.domain.job.progress import Progress
from comfyq.edges.comfy_v2.events import ComfyEvents, EndNotRead
from comfyq.edges.comfy_v2.views import ComfyViews
from comfyq.edges.websocket.rendering import render_preview
from tests.access_lab import OTHER
from tests.api_lab import ApiLab, output
from tests.comfy_lab import BODY, JOBS, told_error
from tests.event_lab import EventLab, Reader, reading

pytestmark = pytest.mark.anyio

Event = tuple[str, dict[str, Any]]


@pytest.fixture
def lab() -> EventLab:
    return EventLab()


def events(reader: Reader) -> list[Event]:
    """Return what has come so far, each by its name."""
    told: list[Event] = []
    for part in reader.body.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in part.split("\n") if ": " in line)
        assert "id" not in lines, "the contract has no cursor"
        if "data" in lines:
            told.append((lines["event"], json.loads(lines["data"])))
    return told


def has(kind: str, number: int, reader: Reader) -> bool:
    return [name for name, _ in events(reader)].count(kind) >= number


def path_of(job: Job) -> str:
    return f"{JOBS}/{job.id}/events"


async def submitted(lab: ApiLab) -> Job:
    job_id = lab.client.post(JOBS, json=BODY).json()["id"]
    return await lab.records.get(JobId(job_id))


async def finish(lab: EventLab, job: Job) -> Job:
    done = partial(jobs.succeed, token=1)
    return await lab.announce(await lab.change(job.id, done, outputs=[output(), output("b.png")]))


async def test_a_job_is_told_from_its_present_to_its_end(lab: EventLab) -> None:
    job = await submitted(lab)
    async with reading(lab.app, path_of(job)) as reader:
        await reader.until(partial(has, "status", 1))
        await lab.announce(await lab.start(job.id))
        await reader.until(partial(has, "status", 2))
        step = Progress(0.5, 5, 10, "KSampler", "3", 1, 2)
        await lab.announce(await lab.advance(job.id, step))
        await reader.until(partial(has, "progress", 2))
        await finish(lab, job)
        await reader.end()
    assert (reader.status, reader.headers["content-type"]) == (
        200,
        "text/event-stream; charset=utf-8",
    )
    told = events(reader)
    assert [name for name, _ in told] == [
        *("status", "status", "progress", "progress", "progress", "output", "output", "status"),
    ]
    assert [data["status"] for name, data in told if name == "status"] == [
        *("queued", "running", "succeeded"),
    ]
    values = [data["value"] for name, data in told if name == "progress"]
    assert values == [0.0, 0.5, 1.0]
    assert told[3][1]["message"] == "KSampler 5/10"
    final = lab.client.get(f"{JOBS}/{job.id}").json()
    assert [data["id"] for name, data in told if name == "output"] == [
        each["id"] for each in final["outputs"]
    ]


async def test_the_end_is_stored_when_it_is_told(lab: EventLab) -> None:
    job = await submitted(lab)
    await lab.start(job.id)
    async with reading(lab.app, path_of(job)) as reader:
        await reader.until(partial(has, "status", 1))
        await finish(lab, job)
        await reader.until(partial(has, "status", 2))
        assert lab.client.get(f"{JOBS}/{job.id}").json()["status"] == "succeeded"


async def test_a_job_that_is_being_canceled_says_so(lab: EventLab) -> None:
    job = await submitted(lab)
    await lab.start(job.id)
    async with reading(lab.app, path_of(job)) as reader:
        await reader.until(partial(has, "status", 1))
        lab.client.post(f"{JOBS}/{job.id}/cancel")
        await lab.announce(await lab.records.get(job.id))
        await reader.until(partial(has, "status", 2))
        await lab.announce(await lab.change(job.id, partial(jobs.confirm_cancel, token=1)))
        await reader.end()
    statuses = [data["status"] for name, data in events(reader) if name == "status"]
    assert statuses == ["running", "canceling", "canceled"]


async def test_an_ended_job_is_told_at_once(lab: EventLab) -> None:
    job = await submitted(lab)
    await lab.start(job.id)
    await finish(lab, job)
    async with reading(lab.app, path_of(job)) as reader:
        await reader.end()
    assert [name for name, _ in events(reader)][-3:] == ["output", "output", "status"]


async def test_nothing_comes_after_the_end_though_it_was_read_before_its_frame(
    lab: EventLab,
) -> None:
    job = await submitted(lab)
    started = await lab.start(job.id)
    async with reading(lab.app, path_of(job)) as reader:
        await reader.until(partial(has, "status", 1))
        moved = await lab.advance(job.id, Progress(0.5, 5, 10, "KSampler"))
        done = partial(jobs.succeed, token=started.attempt)
        ended = await lab.change(job.id, done, outputs=[output()])
        await lab.announce(moved)  # late: the job has ended since
        await reader.until(partial(has, "status", 2))
        await lab.announce(ended)
        await reader.end()
    assert [name for name, _ in events(reader)].count("output") == 1
    assert events(reader)[-1] == ("status", {"status": "succeeded", "queue_position": None})


async def test_previews_are_told_without_being_asked_for(lab: EventLab) -> None:
    job = await submitted(lab)
    job = await lab.start(job.id)
    async with reading(lab.app, path_of(job)) as reader:
        await reader.until(partial(has, "status", 1))
        [follower] = await lab.services.followers.of_job(job.id)
        assert follower.previews
        picture = SmallPicture(b"\xff\xd8", "image/jpeg", 8, 8)
        frame = render_preview(job, "3", picture)
        await lab.services.job_followers.post(job.id, [follower], frame)
        await reader.until(partial(has, "preview", 1))
    [(_, preview)] = [each for each in events(reader) if each[0] == "preview"]
    assert preview == {"node_id": "3", "content_type": "image/jpeg", "data_base64": "/9g="}


async def test_where_nothing_can_be_held_open_a_client_is_told_to_poll() -> None:
    lab = ApiLab()
    job = await submitted(lab)
    assert told_error(lab.client.get(path_of(job))) == (501, "not_implemented")


async def test_too_many_streams_are_to_come_back_later() -> None:
    lab = EventLab(most_streams=0)
    job = await submitted(lab)
    async with reading(lab.app, path_of(job)) as reader:
        await reader.end()
    assert (reader.status, reader.json["error"]["code"]) == (429, "too_many_streams")
    assert reader.headers["retry-after"].isdigit()


async def test_another_tenants_job_is_not_there() -> None:
    lab = EventLab(COMFYQ_AUTH="keys")
    sent = lab.ask("POST", JOBS, await lab.key(), json=BODY)
    key = await lab.key(tenant=OTHER)
    refused = lab.ask("GET", f"{JOBS}/{sent.json()['id']}/events", key)
    assert told_error(refused) == (404, "not_found")


async def test_an_end_that_cannot_be_read_breaks_the_stream_off(lab: EventLab) -> None:
    """A stream that ended in order without its last status would be taken for the whole of it."""
    job = await submitted(lab)

    async def away(*_: object) -> Any:
        raise TableUnavailable("away")

    services = SimpleNamespace(queries=SimpleNamespace(get=away))
    views = cast("ComfyViews", SimpleNamespace(services=services, job=away))
    frame = {"seq": job.version + 1, "job_id": job.id, "status": "completed"}
    with pytest.raises(EndNotRead):
        await ComfyEvents(views, Caller(OTHER, frozenset()), job).of(json.dumps(frame))
    ended = await finish(lab, await lab.start(job.id))
    with pytest.raises(EndNotRead):
        await ComfyEvents(views, Caller(OTHER, frozenset()), ended).of(
            json.dumps(frame | {"seq": 1})
        )
