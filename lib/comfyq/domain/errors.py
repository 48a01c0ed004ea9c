"""Every error that the system expects, as one tree.

DomainError
  + InvalidRequest          the request cannot be carried out; ``fields`` names each bad field
    - InvalidGraph          no ComfyUI that is known can run it; ``node_errors`` says why
    - InvalidParameters, InvalidCursor, InvalidUpload (the file sent is not as announced)
    - IdempotencyMismatch   the key was used before, for another request
    - InvalidWorkflow       a manifest or graph is broken (at start, never at a client)
    - InputRefused          an input file of a job cannot be used
      - InputUnavailable    the file cannot be fetched; ``passing``: trying again may help
      - InputInvalid        the file has the wrong content, or is too large
      - InputForbidden      the file's address is one that workers do not fetch from
  + NotFound
    - JobNotFound, OutputNotFound, BatchNotFound, WorkflowNotFound, AssetNotFound, UploadNotFound
    - DeadLetterNotFound, ApiKeyNotFound, TenantNotFound, DeliveryNotFound, ConnectionNotFound
  + Unauthenticated         the credentials name nobody; ``given``: there were some
  + Forbidden
    - BadSignature, MissingScope: a link is not signed here, or expired; the caller may not do this
  + RateLimited             the requests of a key or tenant are used up for now
    - TooManyWaiting, DailyJobsUsedUp: the tenant's waiting jobs, or those of today, are used up
  + Conflict
    - IllegalTransition     the job's status forbids it
    - JobNotEnded, JobReused: its worker must stop it first; jobs with its files must go first
    - NotRetriable, KeysNotAccepted: the job has no graph or failure; a key would let nobody in
    - DataBeingDeleted      all data of the tenant is being deleted: it may store nothing new
    - LeaseHeld, LeaseLost: another worker's lease holds; the caller's token is out of date
    - TooManyRunning        workers have as many jobs of the tenant as they may have
    - UploadIncomplete, UploadTaken: the file was not sent yet; another was sent to its link
    - StaleJob, TooContended: it was changed since it was read; too often, trying again may help
  + Unavailable             a service that comfyq needs does not answer; trying again may help
    - TableUnavailable, QueueUnavailable, AssetsUnavailable, NotifierUnavailable, IssuerUnavailable
  + ClockSkewed             AWS refuses this machine's signatures; only setting its clock helps
  + TooLarge                an item, body or file is over a limit
    - UploadsFull, OutputsFull, TooManyOutputs: of a tenant's files, its jobs' outputs, one job's
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar


class DomainError(Exception):
    """Base of every expected failure.

    ``code`` is public: clients match on it, so it never changes once released.
    """

    code: ClassVar[str]


@dataclass(frozen=True, slots=True)
class FieldError:
    """One bad field of a request."""

    field: str  # path with dots, as the client wrote it: "loras.0"
    message: str  # what is wrong and what would be right


class InvalidRequest(DomainError):
    code = "invalid-request"

    def __init__(self, message: str, fields: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.fields = tuple(fields)


class InvalidParameters(InvalidRequest):
    code = "invalid-parameters"

    def __init__(self, fields: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{e.field}: {e.message}" for e in fields), fields)


class InvalidGraph(InvalidRequest):
    """``node_errors`` are by node id, each in the shape of ComfyUI's own answer."""

    code = "invalid-graph"

    def __init__(
        self,
        message: str,
        fields: Sequence[FieldError] = (),
        *,
        node_errors: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, fields)
        self.node_errors = dict(node_errors or {})


class IdempotencyMismatch(InvalidRequest):
    code = "idempotency-mismatch"


class InvalidCursor(InvalidRequest):
    code = "invalid-cursor"


class InvalidUpload(InvalidRequest):
    code = "invalid-upload"


class InvalidWorkflow(InvalidRequest):
    code = "invalid-workflow"


class InputRefused(InvalidRequest):
    """Ends the job that needs the file; its code is the job's error code."""


class InputUnavailable(InputRefused):
    code = "input-unavailable"

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class InputInvalid(InputRefused):
    code = "input-invalid"


class InputForbidden(InputRefused):
    code = "input-forbidden"


class NotFound(DomainError): ...


class JobNotFound(NotFound):
    code = "job-not-found"


class WorkflowNotFound(NotFound):
    code = "workflow-not-found"


class OutputNotFound(NotFound):
    code = "output-not-found"


class BatchNotFound(NotFound):
    code = "batch-not-found"


class DeliveryNotFound(NotFound):
    code = "delivery-not-found"


class DeadLetterNotFound(NotFound):
    code = "dead-letter-not-found"


class AssetNotFound(NotFound):
    code = "asset-not-found"


class UploadNotFound(NotFound):
    code = "upload-not-found"


class ConnectionNotFound(NotFound):
    code = "connection-not-found"


class ApiKeyNotFound(NotFound):
    code = "key-not-found"


class TenantNotFound(NotFound):
    code = "tenant-not-found"


class Unauthenticated(DomainError):
    code = "unauthenticated"

    def __init__(self, message: str, *, given: bool) -> None:
        super().__init__(message)
        self.given = given


class Forbidden(DomainError): ...


class BadSignature(Forbidden):
    code = "bad-signature"


class MissingScope(Forbidden):
    code = "missing-scope"


class RateLimited(DomainError):
    code = "rate-limited"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooManyWaiting(RateLimited):
    code = "too-many-waiting"


class DailyJobsUsedUp(RateLimited):
    code = "daily-jobs-used-up"


class Conflict(DomainError): ...


class IllegalTransition(Conflict):
    code = "illegal-transition"


class JobNotEnded(Conflict):
    code = "job-not-ended"


class JobReused(Conflict):
    code = "job-reused"


class NotRetriable(Conflict):
    code = "not-retriable"


class DataBeingDeleted(Conflict):
    code = "data-being-deleted"


class LeaseHeld(Conflict):
    code = "lease-held"

    def __init__(self, until: datetime) -> None:
        super().__init__(f"leased to another worker until {until:%H:%M:%S}Z")
        self.until = until


class TooManyRunning(Conflict):
    code = "too-many-running"


class LeaseLost(Conflict):
    code = "lease-lost"


class UploadIncomplete(Conflict):
    code = "upload-incomplete"


class UploadTaken(Conflict):
    code = "upload-taken"


class StaleJob(Conflict):
    code = "stale-job"


class TooContended(Conflict):
    code = "too-contended"


class Unavailable(DomainError): ...


class TableUnavailable(Unavailable):
    code = "table-unavailable"


class QueueUnavailable(Unavailable):
    code = "queue-unavailable"


class AssetsUnavailable(Unavailable):
    code = "assets-unavailable"


class NotifierUnavailable(Unavailable):
    code = "notifier-unavailable"


class ClockSkewed(DomainError):
    code = "clock-skewed"  # not Unavailable: it is never tried again


class TooLarge(DomainError):
    code = "too-large"


class UploadsFull(TooLarge):
    code = "uploads-full"


class OutputsFull(TooLarge):
    code = "outputs-full"


class TooManyOutputs(TooLarge):
    code = "too-many-outputs"
