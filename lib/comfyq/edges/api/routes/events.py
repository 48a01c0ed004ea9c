"""``/generate/{id}/events``: progress as server-sent events, where answers can be held open."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Protocol

from fastapi import Depends, Header, HTTPException, Query, Request, Response

from comfyq.domain.caller import Caller
from comfyq.edges.api.authentication import TicketReader
from comfyq.edges.api.dependencies import links_of, services_of, streams_of
from comfyq.edges.api.ids import BatchIdInPath, JobIdInPath
from comfyq.edges.api.links import GENERATE
from comfyq.edges.api.open_answers.event_stream import EVENT_STREAM, EventStream
from comfyq.edges.api.open_answers.preferred_wait import LONGEST_S
from comfyq.edges.api.responses import problems
from comfyq.edges.api.router import Router
from comfyq.ports.notifier import Stream
from comfyq.services.jobs.batches import Batches
from comfyq.services.jobs.queries import JobQueries
from comfyq.services.notify.subscriptions import Connected, Follow, Subscriptions

MAX_SEQ = 2**53

Since = Annotated[
    int | None,
    Query(ge=0, le=MAX_SEQ, description="`seq` of the last frame that you have seen."),
]
LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        description="`id` of the last event that you have seen; browsers send it by themselves. "
        "What is no id counts as none: a browser that is refused does not come back.",
    ),
]

WithPreviews = Annotated[
    bool, Query(description="Send events of the kind `preview` too, which have no `id`.")
]

ELSEWHERE = (
    f"API Gateway holds no answer open: send `Prefer: wait={LONGEST_S}` with the GET of the job, "
    "or follow the socket that `urls.ws` names"
)


def events(*frames: str) -> dict[int | str, dict[str, Any]]:
    """Describe the answers of a route that streams frames."""
    shapes = [{"$ref": f"#/components/schemas/{frame}"} for frame in frames]
    data = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"anyOf": shapes} if len(shapes) > 1 else shapes[0],
    }
    schema = {  # of each event, as OpenAPI 3.2 has it
        "type": "object",
        "properties": {"id": {"type": "string"}, "event": {"type": "string"}, "data": data},
        "required": ["id", "event", "data"],
    }
    return {
        200: {
            "description": "Events: `id` is the frame's `seq`, `event` its kind, `data` the frame "
            "as sockets have it. The answer ends after the frame of the end.",
            "content": {EVENT_STREAM: {"schema": schema}},
        },
        204: {"description": "You have seen the end: nothing will come. Browsers stop here."},
    }


class EventServices(Protocol):
    """The services that these routes call."""

    @property
    def queries(self) -> JobQueries: ...

    @property
    def batches(self) -> Batches: ...

    @property
    def subscriptions(self) -> Subscriptions: ...


@dataclass(frozen=True, slots=True)
class Streaming:
    """The dependencies of a route that streams."""

    http: Request
    services: EventServices
    caller: Caller
    seen: int  # the version that the client has seen; 0: none

    async def answer(
        self, target_id: str, follow: Follow, *, newest: int, has_ended: bool
    ) -> Response:
        """Stream the frames of what ``follow`` follows, whose version is ``newest`` now."""
        streams = await streams_of(self.http)
        if streams is None:
            raise HTTPException(HTTPStatus.NOT_IMPLEMENTED, ELSEWHERE)
        if has_ended and self.seen >= newest:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        base_url = (await links_of(self.http)).base_url
        address = self.caller.address or ""

        @asynccontextmanager
        async def opened() -> AsyncIterator[Stream]:
            with streams.opened(address, target_id, since=self.seen) as stream:
                following = self.services.subscriptions.following(
                    stream.connection, self.caller, follow, base_url=base_url
                )
                async with following:
                    yield stream

        return EventStream(opened())


async def streaming_of(
    http: Request,
    caller: TicketReader,
    since: Since = None,
    last_event_id: LastEventId = None,
) -> Streaming:
    seen = max(since or 0, _seq_of(last_event_id or ""))
    return Streaming(http, await services_of(http), caller, seen)


def _seq_of(event_id: str) -> int:
    """Return the ``seq`` that an event's id is, or 0."""
    is_one = event_id.isascii() and event_id.isdigit() and len(event_id) <= len(str(MAX_SEQ))
    return min(int(event_id), MAX_SEQ) if is_one else 0


Streams = Annotated[Streaming, Depends(streaming_of)]

router = Router[EventServices](prefix=GENERATE, tags=["events"])


@router.get(
    "/{job_id}/events",
    response_class=Response,
    responses=problems(404, 429, 501) | events("ProgressFrame", "PreviewFrame"),
)
async def of_job(
    streaming: Streams, job_id: JobIdInPath, previews: WithPreviews = False
) -> Response:
    """A job's progress, pushed as server-sent events until it has ended.

    The first event is the job as it is, unless `Last-Event-ID` or `since` tell that you have seen
    it. 501: not on AWS, where `GET /generate/{id}` with `Prefer: wait` and the socket serve.
    """
    services, seen = streaming.services, streaming.seen
    job = await services.queries.get(streaming.caller, job_id)

    async def follow(client: Connected) -> bool:
        client = client.with_previews if previews else client
        return await services.subscriptions.subscribe(client, job.id, since=seen or None)

    return await streaming.answer(job.id, follow, newest=job.version, has_ended=job.status.terminal)


@router.get(
    "/batch/{batch_id}/events",
    response_class=Response,
    responses=problems(404, 429, 501) | events("BatchFrame", "PreviewFrame"),
)
async def of_batch(
    streaming: Streams, batch_id: BatchIdInPath, previews: WithPreviews = False
) -> Response:
    """A batch's progress, pushed as server-sent events until all of its jobs have ended.

    An event comes at most once a second, and at the end. As of a job, `Last-Event-ID` and `since`
    resume it, and it is not served on AWS.
    """
    services, seen = streaming.services, streaming.seen
    state = await services.batches.get(streaming.caller, batch_id)
    now = state.progress

    async def follow(client: Connected) -> bool:
        client = client.with_previews if previews else client
        return await services.subscriptions.subscribe_batch(client, batch_id, since=seen or None)

    return await streaming.answer(batch_id, follow, newest=now.seq, has_ended=now.done)
