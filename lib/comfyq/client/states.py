"""The last known state of a job or a batch, without asking again."""

from collections.abc import Mapping, Sequence
from typing import Any

from comfyq.client.errors import JobFailed
from comfyq.client.flows.following import has_ended
from comfyq.client.models.jobs import BatchData, Counts, JobData, Output


class JobState:
    """A job as it was when the server was asked last; ``data`` has all of it."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.data = JobData.read(told)

    @property
    def id(self) -> str:
        """Return what the server knows it by."""
        return self.data.id

    @property
    def status(self) -> str:
        """Return queued, running, completed, failed or canceled."""
        return self.data.status

    @property
    def progress(self) -> float:
        """Return how much of it is done, from 0 to 1."""
        return self.data.progress

    @property
    def ended(self) -> bool:
        """Tell whether nothing of it changes any more."""
        return has_ended(self.data.raw)

    @property
    def succeeded(self) -> bool:
        """Tell whether it has ended with results."""
        return self.data.status == "completed"

    @property
    def error(self) -> str | None:
        """Return why it failed."""
        return self.data.error

    @property
    def seed(self) -> int | None:
        """Return the seed that was given or drawn."""
        return self.data.seed

    @property
    def warnings(self) -> Sequence[str]:
        """Return what was accepted without effect, and what of the results is missing."""
        return self.data.warnings

    @property
    def outputs(self) -> Sequence[Output]:
        """Return the files that it made, but for those that the answer had no room for."""
        return self.data.outputs

    @property
    def images(self) -> Sequence[Output]:
        """Return those of its outputs that are images."""
        return [each for each in self.data.outputs if each.kind == "image"]

    def raise_for_status(self) -> None:
        """Raise JobFailed if it has ended without results."""
        if self.ended and not self.succeeded:
            data = self.data
            raise JobFailed(data.id, data.status, data.error_code, data.error)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.status} {self.progress:.0%}>"


class BatchState:
    """A batch as it was when the server was asked last; ``data`` has all of it."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.data = BatchData.read(told)

    @property
    def id(self) -> str:
        """Return what the server knows it by."""
        return self.data.batch_id

    @property
    def done(self) -> bool:
        """Tell whether nothing of it goes on."""
        return self.data.done

    @property
    def progress(self) -> float:
        """Return how much of it is done, from 0 to 1."""
        return self.data.progress

    @property
    def counts(self) -> Counts:
        """Return how many of its requests are queued, running, completed, …."""
        return self.data.counts

    @property
    def size(self) -> int:
        """Return the number of its requests."""
        return self.data.size

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.progress:.0%} of {self.size}>"
