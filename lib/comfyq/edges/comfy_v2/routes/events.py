"""``/api/v2/jobs/{id}/events``: a job's events, where answers can be held open."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Protocol

from fastapi import Depends, HTTPException, Request, Response

from comfyq.edges.api.authentication import Reader
from comfyq.edges.api.dependencies import services_of, streams_of
from comfyq.edges.api.ids import JobIdInPath
from comfyq.edges.api.open_answers.event_stream import EventStream
from comfyq.edges.comfy_v2.events import ComfyEvents
from comfyq.edges.comfy_v2.router import ComfyRouter
from comfyq.edges.comfy_v2.views import Views, ViewServices
from comfyq.ports.notifier import Stream
from comfyq.services.notify.subscriptions import Connected, Subscriptions

ELSEWHERE = "API Gateway holds no answer open; poll the job itself"


class EventRouteServices(ViewServices, Protocol):
    """The services that this route calls."""

    @property
    def subscriptions(self) -> Subscriptions: ...


router = ComfyRouter[EventRouteServices](prefix="/jobs", tags=["comfy v2"])


@router.get("/{job_id}/events")
async def events(
    request: Request,
    services: Annotated[EventRouteServices, Depends(services_of)],
    caller: Reader,
    views: Views,
    job_id: JobIdInPath,
) -> Response:
    """A job's status, progress, previews and outputs as server-sent events, until it has ended.

    501: not on AWS, where a client polls the job.
    """
    job = await services.queries.get(caller, job_id)
    streams = await streams_of(request)
    if streams is None:
        raise HTTPException(HTTPStatus.NOT_IMPLEMENTED, ELSEWHERE)

    async def follow(client: Connected) -> bool:
        return await services.subscriptions.subscribe(client.with_previews, job.id)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Stream]:
        with streams.opened(caller.address or "", job.id) as stream:
            following = services.subscriptions.following(
                stream.connection, caller, follow, base_url=views.links.api.base_url
            )
            async with following:
                yield stream

    return EventStream(opened(), events=ComfyEvents(views, caller, job).of)
