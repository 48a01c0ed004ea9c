"""Files by ids of the Comfy API v2: those that a client stored, and outputs of jobs."""

from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Path, Request

from comfyq.domain.caller import Caller
from comfyq.domain.errors import AssetNotFound, JobNotFound
from comfyq.domain.files.asset import Asset, AssetId
from comfyq.domain.files.output import MAX_OUTPUTS, Output
from comfyq.domain.job import Job
from comfyq.domain.job.output_id import output_place
from comfyq.edges.api.authentication import Reader
from comfyq.edges.api.dependencies import services_of
from comfyq.services.files.downloads import Downloads
from comfyq.services.files.uploads import Uploads
from comfyq.services.jobs.queries import JobQueries


class StoredServices(Protocol):
    """The services that finding a file needs."""

    @property
    def uploads(self) -> Uploads: ...

    @property
    def queries(self) -> JobQueries: ...

    @property
    def downloads(self) -> Downloads: ...


@dataclass(frozen=True, slots=True)
class JobOutput:
    """An output with the job that made it, and its place there."""

    job: Job
    index: int
    output: Output


Found = Asset | JobOutput


async def found_by(services: StoredServices, caller: Caller, asset_id: str) -> Found:
    """Return what the caller has under an id; raises AssetNotFound."""
    named = asset_id.lower()
    place = output_place(named)
    try:
        return await services.uploads.get(caller, AssetId(named))
    except AssetNotFound:
        if place is None or not 0 <= place[1] < MAX_OUTPUTS:
            raise _missing(asset_id) from None
    job_id, index = place
    try:
        job = await services.queries.get(caller, job_id)
    except JobNotFound:
        raise _missing(asset_id) from None
    page = await services.queries.outputs(caller, job.id, start=index, end=index + 1)
    if not page.outputs:
        raise _missing(asset_id)
    return JobOutput(job, index, page.outputs[0])


def _missing(asset_id: str) -> AssetNotFound:
    return AssetNotFound(f"there is no asset {asset_id}")


async def found(
    request: Request,
    caller: Reader,
    asset_id: Annotated[str, Path(max_length=100)],
) -> Found:
    return await found_by(await services_of(request), caller, asset_id)


FoundInPath = Annotated[Found, Depends(found)]
