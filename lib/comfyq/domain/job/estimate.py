"""Estimates of a job's end, from the usual run time of its workflow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from comfyq.domain.job import Job

FAR = 3  # times the usual: a pace that other runs say nothing about
STEADY = 0.1  # of a run: before it, loading models may be most of the time
HALF = 0.5  # of a run is left on average, if nothing is known of its progress


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate for a job that has not ended; a field is None if too little is known."""

    eta_s: int | None = None  # seconds until its results are stored
    queue_position: int | None = None  # 1 is the next to be claimed; 0: a worker has claimed it
    position_above: int | None = None  # of a job too far back for a position: at least so many wait
    waits_for: str | None = None  # other than its turn


NOTHING = Estimate()


def left_of_run(job: Job, *, usual_s: float | None, now: datetime) -> int | None:
    """Estimate the seconds that a running job still needs.

    The job's own pace and its workflow's usual time are averaged, weighted by the fraction done. A
    run that is longer than usual, or will be by far, goes by its own pace alone. None if too little
    is known.
    """
    if job.started_at is None:
        return None
    elapsed_s = max(0.0, (now - job.started_at) / timedelta(seconds=1))
    done = job.progress.fraction
    by_pace_s = elapsed_s / done if done else 0.0
    if usual_s is None:
        return _whole_seconds(by_pace_s - elapsed_s) if done else None
    if elapsed_s >= usual_s or by_pace_s > FAR * usual_s:
        return _whole_seconds(by_pace_s - elapsed_s) if done >= STEADY else None
    return _whole_seconds((1 - done) * usual_s + done * by_pace_s - elapsed_s)


def until_end(
    *, usual_s: float, ahead: int, held: Sequence[int], pause_s: float = 0, tenants: int = 1
) -> int | None:
    """Estimate the seconds until a waiting job will have ended; None if no worker is live.

    ``ahead`` is how many jobs of its tenant wait before it, ``tenants`` how many take turns;
    ``held`` has the number of held jobs of each worker that may claim it; ``pause_s`` is how long
    the job must not be claimed.
    """
    if not held:
        return None
    backlog = (ahead + 1) * tenants - 1 + sum(max(0.0, jobs - HALF) for jobs in held)
    return _whole_seconds(max(pause_s, usual_s * backlog / len(held)) + usual_s)


def _whole_seconds(seconds: float) -> int:
    return max(0, math.ceil(seconds))
