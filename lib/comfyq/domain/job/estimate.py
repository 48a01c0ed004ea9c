"""Estimates of a job's end, from the usual run time of its workflow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from comfyq.domain.job import Job

HALF = 0.5  # what is left, on average, of a run that was not looked at


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of a job that has not ended; None where too little is known."""

    eta_s: int | None = None  # until its results are there
    queue_position: int | None = None  # 1 is the next; 0: a worker has it


NOTHING = Estimate()


def left_of_run(job: Job, *, usual_s: float | None, now: datetime) -> int | None:
    """Seconds that a running job still needs.

    Its own pace tells more the further it is, so it counts by the fraction that is done. None
    where neither that nor the usual time is known.
    """
    if job.started_at is None:
        return None
    elapsed_s = max(0.0, (now - job.started_at) / timedelta(seconds=1))
    done = job.progress.fraction
    if usual_s is None:
        return _whole_seconds(elapsed_s * (1 - done) / done) if done else None
    by_pace_s = elapsed_s / done if done else 0.0
    return _whole_seconds((1 - done) * usual_s + done * by_pace_s - elapsed_s)


def until_end(*, usual_s: float, ahead: int, held: Sequence[int], pause_s: float = 0) -> int | None:
    """Seconds until a job that waits will have ended; None if nobody works.

    ``ahead`` wait before it; ``held`` has, for each worker that may take it, how many jobs that
    one has; ``pause_s`` is how long it must not be taken at all.
    """
    if not held:
        return None
    backlog = ahead + sum(max(0.0, jobs - HALF) for jobs in held)
    return _whole_seconds(max(pause_s, usual_s * backlog / len(held)) + usual_s)


def _whole_seconds(seconds: float) -> int:
    return max(0, math.ceil(seconds))
