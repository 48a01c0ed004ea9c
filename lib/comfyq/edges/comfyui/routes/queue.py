"""``/queue``, ``/interrupt`` and ``/history``: a tenant's jobs as the one ComfyUI has them that its
clients see."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any, Protocol

from fastapi import Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from comfyq.aio.tasks import limited
from comfyq.domain.caller import Caller
from comfyq.domain.errors import JobNotFound
from comfyq.domain.job import Job, JobId, JobStatus
from comfyq.edges.api.authentication import Canceler, Reader
from comfyq.edges.api.dependencies import services_of
from comfyq.edges.comfyui.jobs import FindServices, found, prompt_id_of
from comfyq.edges.comfyui.prompts import json_of, refused
from comfyq.edges.comfyui.queue import (
    AT_ONCE,
    QUEUED,
    RUNNING,
    all_of_status,
    unfinished,
    with_specs,
)
from comfyq.edges.comfyui.router import BASE, ComfyUIRouter
from comfyq.edges.comfyui.views import ComfyUIViews
from comfyq.services.jobs.cancellation import Cancellation

MOST_QUEUE_BYTES = 4_000_000  # of a queue, in one answer: on AWS none has over 6 MB
READ_TOGETHER = 5
LEFT_OUT = "X-Comfyq-Left-Out"
MOST_ENTRIES = 100  # of the history, in one answer
MOST_CANCELED = 1_000  # by one request
MAX_OFFSET = 1_000
ENDED = frozenset(status for status in JobStatus if status.terminal)


class QueueRouteServices(FindServices, Protocol):
    """The services that these routes call."""

    @property
    def cancellation(self) -> Cancellation: ...


Services = Annotated[QueueRouteServices, Depends(services_of)]
PromptId = Annotated[str, Path(max_length=100)]

router = ComfyUIRouter[QueueRouteServices]()


@router.get(f"{BASE}queue")
async def queue(services: Services, caller: Reader) -> Response:
    """Your jobs that go on, each list in the order of submission: the newest of them, as far as an
    answer has room for their graphs. `X-Comfyq-Left-Out` has the number of the others."""
    views = ComfyUIViews(services)
    jobs = await unfinished(services, caller)
    shown: list[tuple[JobStatus, Any]] = []
    room = MOST_QUEUE_BYTES
    for start in range(0, len(jobs), READ_TOGETHER):
        together = jobs[start : start + READ_TOGETHER]
        for job, spec in await with_specs(services, caller, together):
            entry = await views.queued(job, spec)
            room -= len(json.dumps(entry))
            if room >= 0:
                shown.append((job.status, entry))
        if room < 0:
            break
    shown.reverse()
    lists = {
        "queue_running": [each for status, each in shown if status is JobStatus.RUNNING],
        "queue_pending": [each for status, each in shown if status is JobStatus.QUEUED],
    }
    return JSONResponse(lists, headers={LEFT_OUT: str(len(jobs) - len(shown))})


@router.post(f"{BASE}queue")
async def change_queue(request: Request, services: Services, caller: Canceler) -> Response:
    """Cancel all of your waiting jobs (`clear`), or some (`delete`). What runs goes on, and what is
    not there is no error."""
    body = await json_of(request)
    ids = body.get("delete") or []
    if not isinstance(ids, list) or len(ids) > MOST_CANCELED:
        raise refused("delete", f"is no list of at most {MOST_CANCELED} ids")
    jobs: list[Job] = []
    if body.get("clear"):
        jobs += await all_of_status(services, caller, QUEUED, most=MOST_CANCELED)
    named = [each for each in ids if isinstance(each, str)]
    jobs += await _found(services, caller, named)
    await _cancel(services, caller, [job for job in jobs if job.status is JobStatus.QUEUED])
    return Response()


@router.post(f"{BASE}interrupt")
async def interrupt(request: Request, services: Services, caller: Canceler) -> Response:
    """Cancel the job of the id that is named, if it runs; without one, all of yours that run."""
    prompt_id = (await json_of(request)).get("prompt_id")
    if prompt_id is None:
        jobs = await all_of_status(services, caller, RUNNING, most=MOST_CANCELED)
    else:
        jobs = await _found(services, caller, [str(prompt_id)])
    await _cancel(services, caller, [job for job in jobs if job.status is JobStatus.RUNNING])
    return Response()


@router.get(f"{BASE}history")
async def history(
    services: Services,
    caller: Reader,
    max_items: Annotated[int | None, Query(ge=0)] = None,
    offset: Annotated[int, Query(ge=-1, le=MAX_OFFSET)] = 0,
) -> Response:
    """Your jobs that have ended, the newest ones, the oldest of them first."""
    most = min(MOST_ENTRIES if max_items is None else max_items, MOST_ENTRIES)
    skipped = max(offset, 0)
    jobs = await all_of_status(services, caller, ENDED, most=skipped + most)
    return JSONResponse(await _entries(services, caller, list(reversed(jobs[skipped:]))))


@router.get(f"{BASE}history/{{prompt_id}}")
async def history_entry(services: Services, caller: Reader, prompt_id: PromptId) -> Response:
    """A job that has ended; nothing for one that goes on, or is not there."""
    job = await found(services, caller, prompt_id)
    if job is None or not job.status.terminal:
        return JSONResponse({})
    entries = (await _entries(services, caller, [job])).values()
    return JSONResponse(dict(zip([prompt_id], entries, strict=False)))


async def _entries(
    services: QueueRouteServices, caller: Caller, jobs: Sequence[Job]
) -> dict[str, Any]:
    views = ComfyUIViews(services)
    specs = {job.id: (job, spec) for job, spec in await with_specs(services, caller, jobs)}

    async def entry(job_id: JobId) -> Any:
        return await views.entry(*specs[job_id])

    shown = await limited(AT_ONCE, specs, entry)
    return {prompt_id_of(specs[job_id][0]): each for job_id, each in shown.items()}


async def _found(services: FindServices, caller: Caller, named: Sequence[str]) -> list[Job]:
    async def find(prompt_id: str) -> Job | None:
        return await found(services, caller, prompt_id)

    jobs = await limited(AT_ONCE, dict.fromkeys(named), find)
    return [job for job in jobs.values() if job is not None]


async def _cancel(services: QueueRouteServices, caller: Caller, jobs: Sequence[Job]) -> None:
    async def cancel(job_id: JobId) -> None:
        with suppress(JobNotFound):  # deleted since; the others are canceled all the same
            await services.cancellation.cancel(caller, job_id)

    await limited(AT_ONCE, {job.id: None for job in jobs}, cancel)
