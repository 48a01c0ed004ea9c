"""Reasons for which a worker leaves a job to others, with the time until it looks again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Obstacle:
    reason: str  # clients read it
    again_s: float | None = None  # after which it is judged again; None: when something changes
    keeps_doorbell: bool = False  # those that the job is left to may go, and nobody come to look
