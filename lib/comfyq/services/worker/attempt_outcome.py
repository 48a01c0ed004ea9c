"""Outcomes of attempts that an exception ended.

| raised | the job |
|---|---|
| ModelUnavailable: the origin of a model is away or busy | is tried again, while failures remain |
| ModelRefused: it has no such file, or another, or wants a token | fails at once |
| Unavailable, TooContended, ClockSkewed, or an OSError such as a full disk | is given back, \
uncounted |
| any other error of a port: a second attempt would be refused too | fails at once, with its code |
| any other exception: a defect of comfyq | is tried again, and fails the second time |
"""

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import blake2b
from traceback import extract_tb
from typing import Protocol

from comfyq.aio.logs import log
from comfyq.domain import job as jobs
from comfyq.domain.errors import ClockSkewed, DomainError, TooContended, Unavailable
from comfyq.domain.files.output import Output
from comfyq.domain.job import Job, JobError
from comfyq.domain.models.errors import ModelError, ModelUnavailable
from comfyq.ports.engine import Rendered
from comfyq.services.worker.failure_policy import FailureDecision
from comfyq.services.worker.held_job import HeldJob
from comfyq.services.worker.input_files import InputFailed
from comfyq.services.worker.timing import Timing

PASSING = (Unavailable, TooContended, ClockSkewed)
MOST_MODEL_PAUSE_S = 3_600.0  # whatever an origin's Retry-After wants
REFUSED_NAMES = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EISDIR, errno.ENOTDIR)


class TokenChange(Protocol):
    """A change that only the holder of attempt ``token`` may make."""

    def __call__(self, job: Job, /, *, token: int, now: datetime) -> Job: ...


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """The outcome of an attempt, not stored yet."""

    change: TokenChange
    outputs: Sequence[Output] | None = None
    files: Sequence[Rendered] = ()  # the files in ComfyUI's folders that ``outputs`` were copied of
    is_whole: bool = True  # nothing that was rendered is lost


def outcome_of_input(failed: InputFailed) -> AttemptOutcome:
    """Fail the job at once: the same file would be refused again."""
    error = JobError(failed.refused.code, str(failed), failed.file.node)
    return AttemptOutcome(partial(jobs.fail, error=error, retry_in=None))


def outcome_of_model(failed: ModelError, held: HeldJob, timing: Timing) -> AttemptOutcome:
    """Fail the job at once if its model cannot be had, or later if its origin stays away."""
    retry_in, code = None, "model-refused"
    if isinstance(failed, ModelUnavailable):
        code = "model-unavailable"
        if failed.passing:
            pause_s = max(timing.retry_s * 2**held.job.failures, failed.retry_after_s or 0)
            retry_in = timedelta(seconds=min(pause_s, MOST_MODEL_PAUSE_S))
    error = JobError(code, f"a model that the job needs cannot be fetched: {failed}")
    log.warning("model_not_fetched", job=held.id, attempt=held.token, reason=str(failed))
    return AttemptOutcome(partial(jobs.fail, error=error, retry_in=retry_in))


def outcome_of_decision(decision: FailureDecision) -> AttemptOutcome:
    """Return the outcome that carries out a decision of the failure policy."""
    if decision.error is not None:
        fail = partial(jobs.fail, error=decision.error, retry_in=decision.retry_in)
        return AttemptOutcome(fail)
    if decision.passed_on:
        return AttemptOutcome(partial(jobs.pass_on, reason=decision.reason))
    pause = decision.retry_in or timedelta(0)
    return AttemptOutcome(partial(jobs.release, reason=decision.reason, retry_in=pause))


def outcome_of(raised: Exception, held: HeldJob, timing: Timing) -> AttemptOutcome:
    """Return the outcome of an attempt that an error of anything but ComfyUI ended."""
    if isinstance(raised, PASSING) or _is_of_the_machine(raised):
        pause = timedelta(seconds=timing.unavailable_s)
        return AttemptOutcome(partial(jobs.release, reason=str(raised), retry_in=pause))
    if isinstance(raised, DomainError):
        error = JobError(raised.code, str(raised))
        log.warning("attempt_refused", job=held.id, attempt=held.token, reason=str(raised))
        return AttemptOutcome(partial(jobs.fail, error=error, retry_in=None))
    return outcome_of_defect(raised, held, timing)


def outcome_of_defect(raised: Exception, held: HeldJob, timing: Timing) -> AttemptOutcome:
    """Log a defect under an id that is stable for the same defect, and name it in the job."""
    log_id = _log_id(raised)
    log.error("defect", log_id=log_id, job=held.id, attempt=held.token, exc_info=raised)
    cause = f"a defect of comfyq ({type(raised).__name__}); see {log_id} in its worker's log"
    pause = timedelta(seconds=timing.retry_s)
    return AttemptOutcome(partial(jobs.crash, cause=cause, retry_in=pause))


def _is_of_the_machine(raised: Exception) -> bool:
    """Return whether a later attempt may succeed: a full disk may pass, a bad file name not."""
    return isinstance(raised, OSError) and raised.errno not in REFUSED_NAMES


def _log_id(raised: Exception) -> str:
    """Hash the exception's type and stack, without its message, which may vary."""
    frames = [(frame.name, frame.lineno) for frame in extract_tb(raised.__traceback__)]
    return blake2b(repr((type(raised).__qualname__, frames)).encode(), digest_size=6).hexdigest()
