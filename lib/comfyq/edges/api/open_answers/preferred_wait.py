"""``Prefer: wait=n``: a request that is held until its job has ended, or for so long.

https://www.rfc-editor.org/rfc/rfc7240#section-4.3
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from fastapi import Request

from comfyq.domain.caller import Caller
from comfyq.domain.errors import NotifierUnavailable
from comfyq.domain.job import Job
from comfyq.edges.api.dependencies import streams_of
from comfyq.edges.api.open_answers.event_stream import closed_with_client
from comfyq.edges.api.serving.waiting_place import leave_waiting_place
from comfyq.ports.notifier import TooManyStreams
from comfyq.services.notify.job_waits import JobWaits, Seen

# API Gateway gives up after 30 s, and a cold start and the request itself take some of them:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
LONGEST_S = 20
PREFER = "Prefer"
APPLIED = "Preference-Applied"

MEANING = (
    f"`wait=n`: answer when the job has ended, or after n seconds ({LONGEST_S} at "
    "most). `Preference-Applied` tells for how long it would have waited."
)
PARAMETER: dict[str, Any] = {
    "name": PREFER,
    "in": "header",
    "required": False,
    "schema": {"type": "string", "description": MEANING},
    "description": MEANING,
}
WAITING: dict[str, Any] = {"parameters": [PARAMETER]}  # of a route that may be held
HEADER: dict[str, Any] = {
    APPLIED: {
        "description": "`wait=n`, where the request asked for it and was held.",
        "schema": {"type": "string"},
    }
}


class WaitServices(Protocol):
    """The services that waiting needs."""

    @property
    def job_waits(self) -> JobWaits: ...


async def waited(
    request: Request, services: WaitServices, caller: Caller, job: Job
) -> tuple[Job, int]:
    """Hold a request as it prefers; return the job as it is then, and the seconds that were
    granted (0: none were asked for, or there is no place to wait).

    Raises Unauthenticated if the caller's key is revoked or expires meanwhile.
    """
    wait_s = preferred_wait_s(request.headers.getlist(PREFER))
    if not wait_s or job.status.terminal:
        return job, wait_s
    try:
        return await held(request, services, caller, job, within_s=wait_s), wait_s
    except (TooManyStreams, NotifierUnavailable):
        return job, 0


async def held(
    request: Request,
    services: WaitServices,
    caller: Caller,
    job: Job,
    *,
    within_s: float,
    seen: Seen | None = None,
) -> Job:
    """Hold a request until a job has ended, its client has left, or for so long; return the job as
    it is then. Where frames are pushed, previews are, too, if there is somebody who has ``seen``
    them.

    Raises:
        TooManyStreams, NotifierUnavailable: there is no place to wait.
        Unauthenticated: the caller's key was revoked or has expired meanwhile.
    """
    leave_waiting_place(request)
    streams = await streams_of(request)
    if streams is None:
        return await services.job_waits.polled(caller, job, within_s=within_s)
    with streams.opened(caller.address or "", job.id) as stream:
        async with closed_with_client(stream, request.receive):  # it keeps no place for nobody
            return await services.job_waits.pushed(
                caller, job, stream, within_s=within_s, seen=seen
            )


def applied(wait_s: int) -> dict[str, str]:
    """Return the header that says what was granted."""
    return {APPLIED: f"wait={wait_s}"} if wait_s else {}


def preferred_wait_s(headers: Iterable[str]) -> int:
    """Return for how many seconds a client would wait, within our bounds. Whatever else is in the
    headers, or is no number of seconds, is no preference that is known."""
    for name, value in _preferences(headers):
        if name == "wait":  # the first one counts
            return min(int(value), LONGEST_S) if re.fullmatch(r"[0-9]{1,9}", value) else 0
    return 0


def _preferences(headers: Iterable[str]) -> Iterator[tuple[str, str]]:
    for header in headers:
        for preference in header.split(","):
            name, _, value = preference.partition(";")[0].partition("=")
            yield name.strip().lower(), value.strip().strip('"')
