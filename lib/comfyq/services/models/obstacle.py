"""Why a worker leaves a job to others, and when it looks at it again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Obstacle:
    reason: str  # clients read it
    again_s: float | None = (
        None  # after which the job is judged again; None: when something changes
    )
