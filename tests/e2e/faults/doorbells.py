"""The queue and the table of a running system, as a test's own hands: to lose, double and delay."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

from comfyq.bootstrap.backends import open_ports
from comfyq.config import read_settings
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.errors import StaleJob
from comfyq.domain.job import RING_AGAIN, JobId
from comfyq.ports.queue import Delivery
from comfyq.records.jobs import JobRecords

T = TypeVar("T")

COUNTED_S = 60  # for which a doorbell is hidden that was counted already
MAX_RECEIVES = 10  # of the template and of the embedded queue; then a doorbell is dead


class Doorbells:
    """The queue that the ``exports`` of an ``up`` name."""

    def __init__(self, exports: Mapping[str, str]) -> None:
        self._ports = open_ports(read_settings(exports, COMFYQ_VISIBILITY_S=3))
        self._records = JobRecords(
            self._ports.table, clock=self._ports.clock, new_write_id=lambda: uuid4().hex
        )
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._runner.close()
        self._ports.close()

    def ring(self, job_id: str) -> None:
        self._run(self._ports.queue.send(JobId(job_id), tenant=DEFAULT_TENANT))

    def take(self, jobs: Sequence[str]) -> list[Delivery]:
        """Receive a doorbell of each job, which nobody else then hears for a while.

        The queue is shared with tests before this one: what it still has of them is acknowledged.
        """
        taken: dict[str, Delivery] = {}
        while set(taken) != set(jobs):
            delivery = self._run(self._ports.queue.receive(wait_s=5))
            assert delivery is not None, f"no doorbell of {set(jobs) - set(taken)}"
            if delivery.job_id in jobs:
                taken[delivery.job_id] = delivery
            else:
                self.lose(delivery)
        return [taken[job] for job in jobs]

    def lie_for(self, jobs: Sequence[str]) -> Counter[str]:
        """Count the doorbells that lie in the queue for each job, and leave them there; of too many
        some are counted.

        What the queue still has of tests before this one is acknowledged.
        """
        found: list[Delivery] = []
        while len(found) < 10 * len(jobs):
            delivery = self._run(self._ports.queue.receive(wait_s=1))
            if delivery is None:
                break
            if delivery.job_id in jobs:
                self.hide(delivery, COUNTED_S)
                found.append(delivery)
            else:
                self.lose(delivery)
        for delivery in found:
            self.hide(delivery, 0)
        return Counter(str(delivery.job_id) for delivery in found)

    def take_any(self, most: int) -> list[Delivery]:
        """Receive up to that many doorbells, if there are any."""
        taken = [self._run(self._ports.queue.receive(wait_s=0)) for _ in range(most)]
        return [delivery for delivery in taken if delivery is not None]

    def lose(self, delivery: Delivery) -> None:
        self._run(delivery.ack())

    def hide(self, delivery: Delivery, seconds: float) -> None:
        self._run(delivery.hide(seconds))

    def kill(self, job_id: str) -> None:
        """Receive a job's only doorbell until it is dead."""
        for _ in range(MAX_RECEIVES):
            [delivery] = self.take([job_id])
            self.hide(delivery, 0)
        for again in self.take_any(1):  # the queue lets go of it; this is the reaper's new one
            self.hide(again, 0)

    def an_hour_passes(self, job_id: str, *, if_waiting: bool = False) -> None:
        """For one waiting job: it was rung so long ago that it is due to be rung again."""
        self._run(self._age(JobId(job_id), if_waiting))

    def is_rung(self, job_id: str) -> bool:
        """Return whether a doorbell was sent since ``an_hour_passes``."""
        job = self._run(self._records.get(JobId(job_id)))
        return job.rung_at is not None and job.rung_at >= job.created_at

    async def _age(self, job_id: JobId, if_waiting: bool) -> None:
        while True:
            job = await self._records.get(job_id)
            waits = job.lease is None and not job.status.terminal
            if if_waiting and not waits:
                return
            assert waits, "it does not wait"
            rung_at = job.created_at - RING_AGAIN - timedelta(seconds=1)
            aged = replace(job, rung_at=rung_at, due_at=job.created_at, version=job.version + 1)
            try:
                await self._records.save(aged)
            except StaleJob:
                continue
            return

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)
