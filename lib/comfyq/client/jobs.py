"""Jobs and batches in the hands of a program that may block."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comfyq.client import calls
from comfyq.client.drivers.blocking import Driver
from comfyq.client.effects import Flow
from comfyq.client.flows.downloading import all_outputs, content_of, downloaded
from comfyq.client.flows.following import (
    batch_target,
    done_batch,
    ended_job,
    frames,
    job_frames,
)
from comfyq.client.flows.results import batch_results
from comfyq.client.flows.submitting import new_key
from comfyq.client.messages import Json, Request
from comfyq.client.models.jobs import BatchEvent, Event, Output, Preview, Refusal, Story
from comfyq.client.models.service import Delivery
from comfyq.client.sender import Deadline, Sender
from comfyq.client.states import BatchState, JobState


class Job(JobState):
    """A job on a server.

    >>> job = client.generate("flux-dev", prompt="a fox", width=64, height=64, steps=2)
    >>> job.wait(timeout_s=60).status
    'completed'
    >>> [image.content_type for image in job.images]
    ['image/png']
    """

    def __init__(self, told: Mapping[str, Any], driver: Driver, sender: Sender) -> None:
        super().__init__(told)
        self._driver = driver
        self._sender = sender

    def refresh(self) -> "Job":
        """Ask the server how it is now."""
        return self._now(self._driver.run(self._asked(calls.job(self.id))))

    def wait(self, *, timeout_s: float | None = None, check: bool = True) -> "Job":
        """Return once it has ended, over restarts of the server.

        Raises:
            JobFailed: it has no results; with ``check=False``, ``status`` alone says so.
            TimedOut: it has not ended in time; it goes on.
            NotReached: the server has not answered for as long as the patience says.
        """
        if not self.ended:
            flow = ended_job(self._sender, self.id, self._deadline(timeout_s))
            self._now(self._driver.run(flow))
        if check:
            self.raise_for_status()
        return self

    def events(
        self, *, previews: bool = False, timeout_s: float | None = None
    ) -> Generator[Event | Preview, None, None]:
        """Yield its progress until it has ended, over restarts of the server.

        The first event is the job as it is. They are pushed where the server can, else it is asked.
        ``previews`` asks for pictures of what its nodes have so far, too.

        >>> job = client.generate("flux-dev", prompt="a fox", width=64, height=64, steps=2)
        >>> [event.status for event in job.events(timeout_s=60)][-1]
        'completed'
        """
        deadline = self._deadline(timeout_s)
        flow = job_frames(self._sender, self.id, previews=previews, deadline=deadline)
        return self._driver.emitted(flow, self._event)

    def download(
        self, folder: str | Path, *, name: str | None = None, timeout_s: float | None = None
    ) -> list[Path]:
        """Fetch all that it makes, once it has ended, as ``{name or id}-{index}{suffix}``.

        A file appears whole or not at all, and is what its hash says; one that is there already is
        not fetched again. Raises as ``wait``, and BrokenDownload.

        >>> job = client.generate("flux-dev", prompt="a fox", width=64, height=64, steps=2)
        >>> [file.suffix for file in job.download(folder)]
        ['.png']
        """
        deadline = self._deadline(timeout_s)
        self.wait(timeout_s=timeout_s)
        flow = downloaded(self._sender, dict(self.data.raw), Path(folder), name, deadline)
        return self._driver.run(flow)

    def all_outputs(self) -> Sequence[Output]:
        """Return the files that it made, those too that ``outputs`` had no room for."""
        flow = all_outputs(self._sender, dict(self.data.raw), self._deadline())
        return [Output.read(each) for each in self._driver.run(flow)]

    def read(self, output: Output, *, timeout_s: float | None = None) -> bytes:
        """Return the content of one of its outputs."""
        deadline = self._deadline(timeout_s)
        return self._driver.run(content_of(self._sender, self.id, dict(output.raw), deadline))

    def cancel(self) -> "Job":
        """Ask for its end. Doing it again, or too late, is no error."""
        return self._now(self._driver.run(self._asked(calls.cancel(self.id))))

    def delete(self) -> None:
        """Delete it with its files; Conflict says that its worker has to stop first."""
        self._driver.run(self._asked(calls.purge(self.id)))

    def retry(self, *, idempotency_key: str | None = None) -> "Job":
        """Return a new job that does the work of this one, which failed or was canceled."""
        request = calls.retry(self.id, key=idempotency_key or new_key())
        told = self._driver.run(self._asked(request))
        return Job(told, self._driver, self._sender)

    def story(self) -> Story:
        """Return all that is known of how it went."""
        return Story.read(self._driver.run(self._asked(calls.story(self.id))))

    def deliveries(self) -> Sequence[Delivery]:
        """Return its webhooks, and what became of them."""
        request = calls.deliveries(self.id)
        told = self._driver.run(self._asked(request))
        return [Delivery.read(each) for each in told["deliveries"]]

    def _event(self, told: tuple[Json, Json | None]) -> Event | Preview:
        """Read a frame, beside which the last one has the job as it is then."""
        frame, job = told
        if job is not None:
            self._now(job)
        return Preview.read(frame) if frame.get("kind") == "preview" else Event.read(frame)

    def _asked(self, request: Request) -> Flow[Json]:
        return self._sender.json(request, self._deadline())

    def _now(self, told: Mapping[str, Any]) -> "Job":
        super().__init__(told)
        return self

    def _deadline(self, timeout_s: float | None = None) -> Deadline:
        return self._sender.deadline(timeout_s)


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one request of a batch: an ended job, or the reason that there is none."""

    index: int
    job: Job | None
    error: Refusal | None


class Batch(BatchState):
    """Many jobs that were submitted at once.

    >>> batch = client.generate_batch(
    ...     request={"workflow": "flux-dev", "width": 64, "height": 64, "steps": 2},
    ...     product={"prompt": ["a fox", "an owl"]},
    ... )
    >>> sorted(r.index for r in batch.results(timeout_s=60) if r.job and r.job.succeeded)
    [0, 1]
    >>> batch.refresh().counts.completed
    2
    """

    def __init__(self, told: Mapping[str, Any], driver: Driver, sender: Sender) -> None:
        super().__init__(told)
        self._driver = driver
        self._sender = sender

    @property
    def items(self) -> Sequence[Result]:
        """Return its requests in order, as they were when the server was asked last."""
        return [self._result(each) for each in self.data.raw.get("items") or ()]

    def refresh(self) -> "Batch":
        """Ask the server how it is now."""
        request = calls.batch(self.id, items=True)
        return self._now(self._driver.run(self._asked(request)))

    def wait(self, *, timeout_s: float | None = None) -> "Batch":
        """Return once all of it has ended, over restarts of the server; ``counts`` says how.

        Raises:
            TimedOut: it has not ended in time; it goes on.
            NotReached: the server has not answered for as long as the patience says.
        """
        deadline = self._sender.deadline(timeout_s)
        return self._now(self._driver.run(done_batch(self._sender, self.id, deadline)))

    def events(self, *, timeout_s: float | None = None) -> Generator[BatchEvent, None, None]:
        """Yield its progress, at most once a second, until all of it has ended."""
        deadline = self._sender.deadline(timeout_s)
        flow = frames(self._sender, batch_target(self.id), deadline)
        return self._driver.emitted(flow, BatchEvent.read)

    def results(self, *, timeout_s: float | None = None) -> Generator[Result, None, None]:
        """Yield each of its requests once: those that were refused, and jobs as they end."""
        deadline = self._sender.deadline(timeout_s)
        flow = batch_results(self._sender, self.id, deadline)
        return self._driver.emitted(flow, self._result)

    def cancel(self) -> "Batch":
        """Ask for the end of those of its jobs that have not ended."""
        request = calls.cancel_batch(self.id)
        return self._now(self._driver.run(self._asked(request)))

    def retry(self, *, idempotency_key: str | None = None) -> "Batch":
        """Return a new batch of those jobs that failed or were canceled."""
        request = calls.retry_batch(self.id, key=idempotency_key or new_key())
        told = self._driver.run(self._asked(request))
        return Batch(told, self._driver, self._sender)

    def _result(self, item: Mapping[str, Any]) -> Result:
        job, error = item.get("job"), item.get("error")
        return Result(
            item["index"],
            None if job is None else Job(job, self._driver, self._sender),
            None if error is None else Refusal.read(error),
        )

    def _asked(self, request: Request) -> Flow[Json]:
        return self._sender.json(request, self._sender.deadline(None))

    def _now(self, told: Mapping[str, Any]) -> "Batch":
        super().__init__(told)
        return self
