"""Requests that are held until a batch has ended, as ``Prefer: wait=n`` asks, or until enough of
its jobs have."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from fastapi import Request

from comfyq.domain.caller import Caller
from comfyq.domain.errors import NotifierUnavailable
from comfyq.domain.submission.batch import BatchId
from comfyq.edges.api.dependencies import streams_of
from comfyq.edges.api.open_answers.event_stream import closed_with_client
from comfyq.edges.api.open_answers.preferred_wait import PREFER, preferred_wait_s
from comfyq.edges.api.serving.waiting_place import leave_waiting_place
from comfyq.ports.notifier import Stream, Streams, TooManyStreams
from comfyq.services.jobs.batches import BatchState
from comfyq.services.notify.job_waits import FIRST_PAUSE_S, LONGEST_PAUSE_S, Seen, until_over
from comfyq.services.notify.subscriptions import Connected, Subscriptions
from comfyq.wire.generate.frames import PREVIEW_BEGINS

IsEnough = Callable[[], Awaitable[bool]]


class BatchWaitServices(Protocol):
    """The services that waiting for a batch needs."""

    @property
    def subscriptions(self) -> Subscriptions: ...


async def waited_for_batch(
    request: Request, services: BatchWaitServices, caller: Caller, state: BatchState
) -> int:
    """Hold a request as it prefers until a batch has ended, where that is pushed: to read all of
    its jobs again and again costs too much. Return the seconds that were granted.

    Raises Unauthenticated if the caller's key is revoked or expires meanwhile.
    """
    wait_s = preferred_wait_s(request.headers.getlist(PREFER))
    streams = await streams_of(request)
    if not wait_s or streams is None:
        return 0
    if state.progress.done:
        return wait_s
    leave_waiting_place(request)
    try:
        async with _following(request, services, streams, caller, state.batch.id) as stream:
            await until_over(stream, within_s=wait_s)
        await services.subscriptions.require_valid(caller)
    except (TooManyStreams, NotifierUnavailable):
        return 0
    return wait_s


async def held_for_batch(
    request: Request,
    services: BatchWaitServices,
    caller: Caller,
    batch_id: BatchId,
    *,
    within_s: float,
    is_enough: IsEnough,
    seen: Seen | None = None,
) -> None:
    """Hold a request until ``is_enough``, which is asked whenever there is news of a batch, its
    client has left, or for so long. Where nothing is pushed it is asked again and again; where
    frames are, so are previews, if there is somebody who has ``seen`` them.

    Raises:
        TooManyStreams, NotifierUnavailable: there is no place to wait.
        Unauthenticated: the caller's key was revoked or has expired meanwhile.
        And what ``is_enough`` raises.
    """
    leave_waiting_place(request)
    streams = await streams_of(request)
    loop = asyncio.get_running_loop()
    until_s = loop.time() + within_s
    if streams is None:
        pause_s = FIRST_PAUSE_S
        while not await is_enough() and (left_s := until_s - loop.time()) > 0:
            await asyncio.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            await services.subscriptions.require_valid(caller)
        return
    async with _following(request, services, streams, caller, batch_id, seen) as stream:
        is_news = True
        while not (is_news and await is_enough()) and (left_s := until_s - loop.time()) > 0:
            if stream.is_over or (frame := await stream.next(within_s=left_s)) is None:
                break
            is_news = not frame.startswith(PREVIEW_BEGINS)
            if seen is not None:
                seen(frame)
        await is_enough()  # what has changed since the last frame
    await services.subscriptions.require_valid(caller)


@asynccontextmanager
async def _following(
    request: Request,
    services: BatchWaitServices,
    streams: Streams,
    caller: Caller,
    batch_id: BatchId,
    seen: Seen | None = None,
) -> AsyncIterator[Stream]:
    """Within the context, a stream is posted a batch's frames, until its client leaves; previews,
    too, if somebody has ``seen`` them."""

    async def follow(client: Connected) -> bool:
        follower = client if seen is None else client.with_previews
        return await services.subscriptions.subscribe_batch(follower, batch_id)

    with streams.opened(caller.address or "", batch_id) as stream:
        following = services.subscriptions.following(stream.connection, caller, follow, base_url="")
        async with following, closed_with_client(stream, request.receive):
            yield stream
