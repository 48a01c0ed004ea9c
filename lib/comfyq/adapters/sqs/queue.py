import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyio import to_thread

from comfyq.adapters.sqs.calls import MAX_ENTRIES, Calls, Received
from comfyq.adapters.sqs.poll import poll
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import QueueUnavailable
from comfyq.domain.job import JobId
from comfyq.ports.queue import MAX_DELAY_S, MAX_HIDE_S, MAX_WAIT_S, TAKEN_S, check_seconds

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@dataclass(frozen=True, slots=True)
class SqsDelivery:
    job_id: JobId
    receipt: str
    calls: Calls

    async def ack(self) -> None:
        await to_thread.run_sync(self.calls.delete, self.receipt)

    async def hide(self, seconds: float) -> None:
        check_seconds(seconds, most=MAX_HIDE_S)
        await to_thread.run_sync(self.calls.hide, self.receipt, seconds)


class SqsQueue:
    """The queue on SQS, with a body of ``{"job_id": …}``.

    ``client`` makes the client; it is called once, at the first use, in a thread. ``fair`` names
    the tenant as the message's group. A received message is hidden for ``visibility_s``, whatever
    the queue's own attribute says.
    """

    def __init__(
        self,
        *,
        client: Callable[[], "SQSClient"],
        url: str,
        fair: bool = False,
        visibility_s: float = TAKEN_S,
    ) -> None:
        self._calls = Calls(client=client, url=url, fair=fair, visibility_s=visibility_s)

    async def send(self, job_id: JobId, *, tenant: TenantId, delay_s: float = 0) -> None:
        check_seconds(delay_s, most=MAX_DELAY_S)
        await to_thread.run_sync(self._calls.send, job_id, tenant, delay_s)

    async def send_many(self, job_ids: Sequence[JobId], *, tenant: TenantId) -> None:
        parts = [job_ids[at : at + MAX_ENTRIES] for at in range(0, len(job_ids), MAX_ENTRIES)]
        send = self._calls.send_many
        await asyncio.gather(*(to_thread.run_sync(send, part, tenant) for part in parts))

    async def receive(self, *, wait_s: float) -> SqsDelivery | None:
        """Implement the port; SQS waits in whole seconds, so up to one second more.

        A message that arrives after a cancellation is made visible again at once.
        """
        check_seconds(wait_s, most=MAX_WAIT_S)
        deadline = time.monotonic() + wait_s
        while True:
            left_s = max(deadline - time.monotonic(), 0)
            received = await self._poll(left_s)
            if received is not None and received.job_id is not None:
                return SqsDelivery(received.job_id, received.receipt, self._calls)
            if received is None or left_s == 0:
                return None

    async def count(self) -> int:
        return await to_thread.run_sync(self._calls.count)

    async def _poll(self, wait_s: float) -> Received | None:
        return await poll(lambda: self._calls.receive(wait_s), give_back=self._show)

    def _show(self, received: Received) -> None:
        with suppress(QueueUnavailable):  # then it comes back after its visibility time-out
            self._calls.hide(received.receipt, 0)
