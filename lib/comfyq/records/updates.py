"""Read, decide, write, and decide again when someone wrote first."""

import asyncio
import random
from collections.abc import Callable, Sequence

from comfyq.domain.errors import StaleJob, TooContended
from comfyq.domain.files.output import Output
from comfyq.domain.job import Job
from comfyq.domain.job.attempt import attempt_ended
from comfyq.ports.clock import Clock
from comfyq.records.jobs import JobRecords

Change = Callable[[Job], Job]

TRIES = 12
FIRST_PAUSE_S = 0.005


async def update(
    records: JobRecords,
    clock: Clock,
    job: Job,
    change: Change,
    *,
    outputs: Sequence[Output] | None = None,
) -> Job:
    """Store ``change(job)``, deciding again on a fresh read after each conflict.

    ``change`` may return its argument: then there is nothing to store. Whatever it raises passes
    through, so a conflict that makes the change illegal ends here. ``outputs`` are stored in the
    same transaction if the job succeeds by it.

    Raises:
        TooContended: others wrote first, TRIES times in a row.
    """
    for pause in range(TRIES):
        changed = change(job)
        if changed is job:
            return job
        attempt = attempt_ended(job, changed, now=clock.now())
        stored = outputs if changed.status == "succeeded" else None
        try:
            await records.save(changed, attempt=attempt, outputs=stored)
        except StaleJob:
            await asyncio.sleep(random.uniform(0, FIRST_PAUSE_S * 2 ** min(pause, 6)))
            job = await records.get(job.id)
        else:
            return changed
    raise TooContended(f"{job.id} was written by others {TRIES} times in a row")
