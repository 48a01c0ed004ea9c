"""The exceptions of the client.

ComfyqError
  + NotReached         nobody, or no comfyq, answers at the URL
    - UnexpectedAnswer what answers is no comfyq, or one that speaks otherwise
    - BrokenDownload   a file did not arrive as its job announced it
  + TimedOut           the time that was given is over; a TimeoutError too
  + JobFailed          a job that was waited for has no results
  + BadWebhook         a webhook is not signed by any of the secrets, or is too old
  + BadValue           a value cannot be sent or used as it is; a ValueError too
  + ApiError           the server answered that it will not, or cannot, do this
    - InvalidRequest   400, 413, 415, 422: the request is wrong; `fields` says where
    - Unauthenticated  401: it needs a key, or another one
    - Forbidden        403: the key may not do this
    - NotFound         404
    - Conflict         409
    - RateLimited      429: later; `retry_after_s` says when
    - ServerFailed     5xx
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from comfyq.client.messages import Answer, json_of


class ComfyqError(Exception):
    """Is the ancestor of every error of the client."""

    retry_after_s: int | None = None  # when a server that answered wants to be asked again


class NotReached(ComfyqError):
    """Nobody, or no comfyq, answers; the same call may succeed later."""

    def __init__(self, message: str, *, unsent: bool = False, is_hopeless: bool = False) -> None:
        super().__init__(message)
        self.unsent = unsent  # no server can have seen the request
        self.is_hopeless = is_hopeless  # the request itself cannot be sent, now or later


class UnexpectedAnswer(NotReached):
    """What answers is no comfyq, or its JSON is not what this client reads."""

    def __init__(self, url: str, fault: str) -> None:
        super().__init__(f"the server at {url} answers otherwise than this client expects: {fault}")


class BrokenDownload(NotReached):
    """A file did not arrive as its job announced it."""


class TimedOut(ComfyqError, TimeoutError):
    """The time that was given is over. What was submitted goes on."""


class BadValue(ComfyqError, ValueError):
    """A value cannot be sent, or used, as it is; nothing was asked."""


class BadWebhook(ComfyqError):
    """A webhook must not be believed."""


class JobFailed(ComfyqError):
    """A job that was waited for has ended without results."""

    def __init__(self, job_id: str, status: str, code: str | None, message: str | None) -> None:
        ended = "was canceled" if status == "canceled" else status
        named = f" ({code})" if code else ""
        super().__init__(f"job {job_id} {ended}{named}{f': {message}' if message else ''}")
        self.job_id = job_id
        self.status = status  # failed or canceled
        self.code = code  # stable, as the server's reference of errors has it
        self.message = message


@dataclass(frozen=True, slots=True)
class FieldError:
    """One bad field of a request."""

    field: str  # as the request wrote it; `loras.0` is the first LoRA
    message: str


class ApiError(ComfyqError):
    """A problem document (RFC 9457) that the server answered with."""

    def __init__(
        self, status: int, problem: Mapping[str, Any], *, retry_after_s: int | None = None
    ) -> None:
        self.status = status
        self.problem = problem  # all of it
        self.code = str(problem.get("code") or f"http-{status}")  # stable: compare this
        self.detail = str(problem.get("detail") or problem.get("title") or "no reason was given")
        self.request_id: str | None = problem.get("request_id")  # by which the server's log has it
        self.retry_after_s = retry_after_s
        super().__init__(f"{self.code} ({status}): {self.detail}")

    @property
    def fields(self) -> Sequence[FieldError]:
        """Return every bad field of the request."""
        errors = self.problem.get("errors")
        listed = errors if isinstance(errors, list) else []
        named = [each for each in listed if isinstance(each, dict)]
        return [FieldError(str(e.get("field", "")), str(e.get("message", ""))) for e in named]


class InvalidRequest(ApiError):
    """The request is wrong: sending it again is of no use."""


class Unauthenticated(ApiError):
    """The server needs a key, or another one."""


class Forbidden(ApiError):
    """The key may not do this."""


class NotFound(ApiError):
    """There is no such thing, or it is another tenant's."""


class Conflict(ApiError):
    """It cannot be done to this thing as it is now."""


class RateLimited(ApiError):
    """A limit is used up for now."""


class ServerFailed(ApiError):
    """The server cannot do it now, or made a mistake."""


MAX_DIGITS = 12  # of a number of seconds

KINDS: Mapping[int, type[ApiError]] = {
    400: InvalidRequest,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: InvalidRequest,
    415: InvalidRequest,
    422: InvalidRequest,
    429: RateLimited,
}


def error_of(answer: Answer) -> ApiError:
    """Return the exception for an answer that is no success."""
    kind = KINDS.get(answer.status, ServerFailed if answer.status >= 500 else ApiError)
    return kind(answer.status, _problem(answer), retry_after_s=_retry_after_s(answer.headers))


def _problem(answer: Answer) -> Mapping[str, Any]:
    value = json_of(answer.content)
    return value if isinstance(value, dict) else {"title": answer.reason}


def _retry_after_s(headers: Mapping[str, str]) -> int | None:
    """Return for how long a server asks to be left alone: in seconds, or until a time of its own
    clock, which its header Date shows.

    https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
    """
    again = headers.get("retry-after", "")
    if again.isascii() and again.isdigit():
        return int(again[:MAX_DIGITS])  # whatever has more is for ever, too
    until, now = _time(again), _time(headers.get("date", ""))
    return None if until is None or now is None else max(0, int((until - now).total_seconds()))


def _time(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text).replace(tzinfo=None)  # of HTTP, both are GMT
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
