"""What routes are given: the services, who asks, and how answers link back.

Each is a coroutine though it awaits nothing: FastAPI sends plain functions to a thread, and five of
those a request cost more than the request itself.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from comfyq.domain.caller import DEFAULT_CALLER, Caller
from comfyq.edges.api.job_views import JobViews
from comfyq.edges.api.links import PROGRESS, Links
from comfyq.services.files.downloads import Downloads
from comfyq.services.files.presigned_uploads import PresignedUploads
from comfyq.services.files.signed_links import SignedLinks
from comfyq.services.files.uploads import Uploads
from comfyq.services.jobs.batch_submission import BatchSubmission
from comfyq.services.jobs.batches import Batches
from comfyq.services.jobs.cancellation import Cancellation
from comfyq.services.jobs.estimates import Estimates
from comfyq.services.jobs.queries import JobQueries
from comfyq.services.jobs.submission import Submission
from comfyq.services.operations.dead_letters import DeadLetters
from comfyq.services.operations.health import Health
from comfyq.services.workflows.library import WorkflowLibrary

JSON_TYPE = re.compile(r"application/([\w.-]+\+)?json\s*(;.*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServices:
    """Everything that the HTTP API is made of. Nothing is asked of it before a request comes."""

    submission: Submission
    queries: JobQueries
    cancellation: Cancellation
    estimates: Estimates
    downloads: Downloads
    health: Health
    library: WorkflowLibrary
    dead_letters: DeadLetters
    batches: Batches
    batch_submission: BatchSubmission
    uploads: Uploads
    presigned_uploads: PresignedUploads
    links: Callable[[], Awaitable[SignedLinks]]  # their secret may have to be fetched first
    version: str
    public_url: str | None = None  # what links begin with; None: what the request was sent to
    ws_url: str | None = None  # where progress is pushed; None: /ws/progress/{id} beside the API


async def services_of(request: Request) -> ApiServices:
    api: ApiServices = request.app.state.api
    return api


Services = Annotated[ApiServices, Depends(services_of)]


async def caller_of() -> Caller:
    """Who asks: one and the same, until there are keys."""
    return DEFAULT_CALLER


Asker = Annotated[Caller, Depends(caller_of)]


async def links_of(request: Request, api: Services) -> Links:
    base_url = (api.public_url or str(request.base_url)).rstrip("/")
    ws_url = api.ws_url or base_url.replace("http", "ws", 1) + PROGRESS
    return Links(base_url=base_url, ws_url=ws_url, signed=await api.links())


ClientLinks = Annotated[Links, Depends(links_of)]


async def views_of(links: ClientLinks) -> JobViews:
    return JobViews(links)


Views = Annotated[JobViews, Depends(views_of)]


async def require_json(request: Request) -> None:
    """Refuse what would not be read as JSON, before it is called an invalid object."""
    content_type = request.headers.get("content-type", "")
    if not JSON_TYPE.fullmatch(content_type):
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "send the request as JSON, with `Content-Type: application/json`",
        )
