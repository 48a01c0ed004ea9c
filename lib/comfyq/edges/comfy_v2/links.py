"""The URLs below ``/api/v2``: no other module knows how they are made."""

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

from fastapi import Request

from comfyq.domain.files.asset import AssetId
from comfyq.domain.job import JobId
from comfyq.edges.api.dependencies import links_of
from comfyq.edges.api.links import Links
from comfyq.wire.comfy_v2.errors import API
from comfyq.wire.comfy_v2.jobs import JobUrls


@dataclass(frozen=True, slots=True)
class TimedUrl:
    """A URL that is good until a time."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ComfyLinks:
    api: Links

    def job(self, job_id: JobId) -> JobUrls:
        """Return the links of a job, without scheme and host."""
        own = f"{urlsplit(self.api.base_url).path}{API}/jobs/{job_id}"
        return JobUrls(self=own, events=f"{own}/events", cancel=f"{own}/cancel")

    def output(self, job_id: JobId, index: int) -> TimedUrl:
        """Return the signed link to a job's ``index``-th output, which needs no other
        credentials."""
        url = self.api.output(job_id, index)
        [expires] = parse_qs(urlsplit(url).query)["expires"]
        return TimedUrl(url, datetime.fromtimestamp(int(expires), UTC))

    def content(self, asset_id: AssetId) -> str:
        """Return where the bytes of a stored file are."""
        return f"{self.api.base_url}{API}/assets/{asset_id}/content"


async def comfy_links_of(request: Request) -> ComfyLinks:
    return ComfyLinks(await links_of(request))
