"""Jobs by the ids that clients of ComfyUI's API know them by."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Protocol
from uuid import UUID

from comfyq.domain.caller import Caller
from comfyq.domain.errors import JobNotFound
from comfyq.domain.job import Job, JobId
from comfyq.domain.submission.labels import VALUE
from comfyq.domain.submission.selection import Selection
from comfyq.services.jobs.listing import JobListing
from comfyq.services.jobs.queries import JobQueries

CLIENT, PROMPT = "comfyui/client", "comfyui/prompt"  # labels: who submitted a job, under which id
IS_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class FindServices(Protocol):
    """The services that finding a job needs."""

    @property
    def queries(self) -> JobQueries: ...

    @property
    def listing(self) -> JobListing: ...


def client_label(client: str) -> Mapping[str, str]:
    """Return the label of a client's jobs; of an id that no label can be, its digest."""
    is_short = VALUE.fullmatch(client) is not None
    return {CLIENT: client if is_short else sha256(client.encode("utf-8", "replace")).hexdigest()}


def canonical(prompt_id: str) -> str | None:
    """Return a UUID as ids are written; None: it is none."""
    try:
        return str(UUID(prompt_id))
    except ValueError:
        return None


def prompt_id_of(job: Job) -> str:
    """Return the id of a job: the one that its client gave it, if it did."""
    return job.labels.get(PROMPT, job.id)


async def found(services: FindServices, caller: Caller, prompt_id: str) -> Job | None:
    """Return a caller's job by either of its ids; None: there is none."""
    named = prompt_id.lower()
    if not IS_UUID.fullmatch(named):
        return None
    try:
        return await services.queries.get(caller, JobId(named))
    except JobNotFound:
        page = await services.listing.page(caller, Selection(labels={PROMPT: named}), limit=1)
        return next(iter(page.jobs), None)
