"""The failure policy: an engine's error decides what becomes of the job.

| error | counts | tried again |
|---|---|---|
| GraphRefused, NodeFailed | yes | no: the same graph would fail again |
| OutOfMemory | yes | once, after ComfyUI has freed its memory |
| DeviceFault, stalled, PromptLost after the start | yes | while failures remain |
| ResultsUnreadable | yes | once |
| RenderedFileGone | yes | once, rendered under another name; not at all if it is gone for good |
| PromptLost before the start, EngineUnavailable, PromptInterrupted | no | yes |
| EngineLeft: ComfyUI stopped answering after the start | later, by EngineLosses | yes |
| OutOfMemory or DeviceFault behind another prompt's: DeviceBroken | no | yes |
| NotAdmitted: a real ComfyUI took the jobs over from this simulator | no | yes |
| Unsuited: this ComfyUI lacks a class or a model | no | yes, by another worker |
"""

from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from comfyq.domain.job import ENGINE_LOST, Job, JobError
from comfyq.ports.engine import (
    DeviceFault,
    EngineError,
    EngineUnavailable,
    GraphRefused,
    NodeError,
    NodeFailed,
    OutOfMemory,
    PromptInterrupted,
    PromptLost,
    RenderedFileGone,
    ResultsUnreadable,
)
from comfyq.services.worker.capabilities import Unsuited
from comfyq.services.worker.held_job import HeldJob
from comfyq.services.worker.membership import NotAdmitted
from comfyq.services.worker.timing import Timing

MAX_MESSAGE_CHARS = 2_000
OUTPUT_GONE = "output-gone"


class Stalled(EngineError):
    """The prompt runs but gives no sign of progress."""


class Overdue(EngineError):
    """The attempt ran for longer than its workflow allows."""


class DeviceBroken(EngineError):
    """The device failed a prompt after another prompt had broken it."""


@dataclass(frozen=True, slots=True)
class FailureDecision:
    """The decision on a job; ``error`` None: it is given back uncounted, for ``reason``."""

    reason: str
    error: JobError | None
    retry_in: timedelta | None  # None with an error: the job ends
    passed_on: bool = False  # the job is left to another worker


def decide(raised: EngineError, job: Job, timing: Timing) -> FailureDecision:
    reason = str(raised)[:MAX_MESSAGE_CHARS]
    if isinstance(raised, Unsuited):
        return FailureDecision(reason, None, None, passed_on=True)
    if _uncounted(raised):
        return FailureDecision(reason, None, timedelta(seconds=_pause_s(raised, timing)))
    pause = timedelta(seconds=timing.retry_s * 2**job.failures)
    error = _error(raised, reason)
    return FailureDecision(reason, error, pause if _may_pass(raised, error, job) else None)


def _uncounted(raised: EngineError) -> bool:
    if isinstance(raised, PromptLost):
        return not raised.started
    return isinstance(raised, EngineUnavailable | PromptInterrupted | DeviceBroken | NotAdmitted)


def _pause_s(raised: EngineError, timing: Timing) -> float:
    if isinstance(raised, EngineUnavailable):
        return timing.unavailable_s
    # Time for this worker to check its device before it claims the job again.
    return timing.retry_s if isinstance(raised, DeviceBroken) else 0


def _may_pass(raised: EngineError, error: JobError, job: Job) -> bool:
    if isinstance(raised, OutOfMemory):
        return job.failures == 0
    if isinstance(raised, RenderedFileGone) and raised.for_good:
        return False
    if isinstance(raised, ResultsUnreadable | RenderedFileGone):
        return is_tried_again(job, error.code)
    return isinstance(raised, DeviceFault | Stalled | PromptLost)


def is_tried_again(job: Job, code: str) -> bool:
    """Return whether a job has one more attempt after an error that a second one may not meet."""
    is_repeated = job.error is not None and job.error.code == code
    return not is_repeated and job.failures + 1 < job.limits.max_attempts


def _error(raised: EngineError, reason: str) -> JobError:
    match raised:
        case GraphRefused():
            details = tuple(_line(error) for error in raised.errors)
            node = raised.errors[0].node if raised.errors else None
            return JobError("invalid-graph", reason, node, details)
        case NodeFailed():
            return JobError(_node_code(raised), reason, raised.error.node, raised.error.details)
        case Overdue():
            return JobError("deadline", reason)
        case Stalled():
            return JobError("stalled", reason)
        case RenderedFileGone():
            return JobError(OUTPUT_GONE, reason)
        case ResultsUnreadable():
            return JobError("results-unreadable", reason)
        case PromptLost():
            return JobError(ENGINE_LOST, engine_lost(reason))
        case _:
            return JobError(ENGINE_LOST, reason)


def engine_lost(reason: str) -> str:
    """Describe a loss of ComfyUI in mid-run for those who have to find its cause."""
    return (
        f"ComfyUI ended or was restarted while it ran the job ({reason}); its own log has the cause"
    )


def _node_code(raised: NodeFailed) -> str:
    if isinstance(raised, OutOfMemory):
        return "out-of-memory"
    return "device-fault" if isinstance(raised, DeviceFault) else "node-error"


def _line(error: NodeError) -> str:
    listed = f" ({'; '.join(error.details)})" if error.details else ""
    return f"{error.class_type} ({error.node}): {error.message}{listed}"


class DeviceBlame:
    """Count an out-of-memory error or device fault against one prompt only.

    Prompts queued behind that one in ComfyUI fail with the same error without having caused it.
    """

    def __init__(self) -> None:
        self._failed_at = float("-inf")  # when the device last failed (monotonic)

    def attributed(self, held: HeldJob, raised: EngineError) -> EngineError:
        """Return the error to judge this job by: DeviceBroken if the device has failed another
        prompt since this job was claimed."""
        if not isinstance(raised, OutOfMemory | DeviceFault):
            return raised
        if held.taken_at < self._failed_at:
            return DeviceBroken(f"behind another prompt that had made it fail: {raised}")
        self._failed_at = monotonic()
        return raised
