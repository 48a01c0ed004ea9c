"""``progress``, ``interrupt`` and ``skip``: of the caller's own requests alone."""

from contextlib import suppress
from typing import Annotated, Protocol

from fastapi import Depends, Response

from comfyq.domain.errors import DomainError
from comfyq.domain.job import JobId
from comfyq.edges.a1111.live_jobs import LiveJobServices, live_jobs, progress_of
from comfyq.edges.a1111.router import A1111Router
from comfyq.edges.api.authentication import Canceler, Reader
from comfyq.edges.api.dependencies import services_of
from comfyq.edges.api.responses import rendered
from comfyq.services.jobs.cancellation import Cancellation
from comfyq.services.notify.newest_previews import NewestPreviews
from comfyq.wire.a1111.views import EmptyView


class StateServices(LiveJobServices, Protocol):
    """The services that these routes call."""

    @property
    def cancellation(self) -> Cancellation: ...

    @property
    def newest_previews(self) -> NewestPreviews: ...


Services = Annotated[StateServices, Depends(services_of)]

router = A1111Router[StateServices]()


@router.get("/progress")
async def progress(
    services: Services, caller: Reader, skip_current_image: bool = False
) -> Response:
    """Tell how far the caller's pictures are, with the newest preview of one that is being made."""
    jobs = await live_jobs(services, caller)
    picture_of = _no_picture if skip_current_image else services.newest_previews.of
    return rendered(progress_of(jobs, picture_of))


def _no_picture(_: JobId) -> None:
    return None


@router.post("/interrupt")
async def interrupt(services: Services, caller: Canceler) -> Response:
    """Cancel all of the caller's pictures that are not made yet."""
    for job in await live_jobs(services, caller):
        with suppress(DomainError):  # it ends by itself, then
            await services.cancellation.cancel(caller, job.id)
    return rendered(EmptyView())


@router.post("/skip")
async def skip(services: Services, caller: Canceler) -> Response:
    """Cancel the picture that is being made, or one that waits; others of its request are made."""
    live = [job for job in await live_jobs(services, caller) if not job.cancel_requested]
    jobs = sorted(live, key=lambda job: job.started_at is None)
    for job in jobs[:1]:
        with suppress(DomainError):  # it ends by itself, then
            await services.cancellation.cancel(caller, job.id)
    return rendered(EmptyView())
