"""``Prefer: wait=n`` with a request for a batch."""

from typing import Protocol

from fastapi import Request

from comfyq.domain.caller import Caller
from comfyq.domain.errors import NotifierUnavailable
from comfyq.edges.api.dependencies import streams_of
from comfyq.edges.api.following.event_stream import closed_with_client
from comfyq.edges.api.following.waits import PREFER, preferred_wait_s
from comfyq.edges.api.serving.waiting_place import leave_waiting_place
from comfyq.ports.notifier import TooManyStreams
from comfyq.services.jobs.batches import BatchState
from comfyq.services.notify.subscriptions import Connected, Subscriptions
from comfyq.services.notify.waits import until_over


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

    async def follow(client: Connected) -> bool:
        return await services.subscriptions.subscribe_batch(client, state.batch.id)

    try:
        with streams.opened(caller.address or "", state.batch.id) as stream:
            following = services.subscriptions.following(
                stream.connection, caller, follow, base_url=""
            )
            async with following, closed_with_client(stream, request.receive):
                await until_over(stream, within_s=wait_s)
        await services.subscriptions.require_valid(caller)
    except (TooManyStreams, NotifierUnavailable):
        return 0
    return wait_s
