"""The URLs of what the HTTP API serves: no other module knows how they are made."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from comfyq.domain.caller import TenantId
from comfyq.domain.files.asset import AssetId
from comfyq.domain.files.upload import UploadId
from comfyq.domain.job import JobId
from comfyq.domain.submission.batch import BatchId
from comfyq.services.files.signed_links import SignedLinks
from comfyq.wire.a1111.errors import WITH_FILES
from comfyq.wire.comfy_v2.errors import API
from comfyq.wire.comfyui.errors import UPLOADS as COMFYUI_UPLOADS
from comfyq.wire.openai.errors import EDITS
from comfyq.wire.runpod.errors import RUNS

GENERATE = "/generate"
BATCHES = f"{GENERATE}/batch"
ASSETS = "/assets"
UPLOADS = f"{ASSETS}/uploads"
OFFERS = re.compile(UPLOADS)
# that take whole files
FILES = re.compile(rf"{ASSETS}|{API}{ASSETS}|{EDITS}|{COMFYUI_UPLOADS}|{UPLOADS}/[^/]+/content")
FILES_IN_JSON = re.compile(rf"{RUNS}|{WITH_FILES}")
PROGRESS = "/ws/progress/{id}"


@dataclass(frozen=True, slots=True)
class Links:
    """Makes URLs below ``base_url`` (no slash at its end).

    ``ws_url`` is where a job's progress is pushed: ``{id}`` in it stands for the job.
    """

    base_url: str
    ws_url: str
    signed: SignedLinks
    may_read: bool  # whether the client may see what jobs have made
    streams: bool = False  # whether answers can be held open
    is_operators: bool = False  # whether the client may know the deployment's machines

    def job(self, job_id: JobId) -> str:
        return f"{self.base_url}{GENERATE}/{job_id}"

    def progress(self, job_id: JobId) -> str:
        return self.ws_url.replace("{id}", job_id)

    def subscribe_frame(self, job_id: JobId) -> Mapping[str, str] | None:
        """Return what to send at ``progress``; None: its address says it."""
        return None if "{id}" in self.ws_url else {"action": "subscribe", "job_id": job_id}

    def events(self, job_id: JobId) -> str | None:
        """Return where a job's progress is streamed, if it is."""
        return f"{self.job(job_id)}/events" if self.streams else None

    def output(self, job_id: JobId, index: int) -> str:
        """Return the signed link to a job's ``index``-th output."""
        return output_url(self.base_url, job_id, index, self.signed.query(job_id, index))

    def outputs(self, job_id: JobId, start: int) -> str:
        """Return where a job's outputs are listed from the ``start``-th on."""
        return f"{self.job(job_id)}/outputs?start={start}"

    def batch(self, batch_id: BatchId) -> str:
        return f"{self.base_url}{BATCHES}/{batch_id}"

    def batch_events(self, batch_id: BatchId) -> str | None:
        """Return where a batch's progress is streamed, if it is."""
        return f"{self.batch(batch_id)}/events" if self.streams else None

    def asset(self, asset_id: AssetId) -> str:
        return f"{self.base_url}{ASSETS}/{asset_id}"

    def content(self, upload_id: UploadId) -> str:
        """Return the signed link that the file of an upload is sent to."""
        query = self.signed.upload_query(upload_id)
        return f"{self.base_url}{UPLOADS}/{upload_id}/content?{query}"

    def completion(self, upload_id: UploadId) -> str:
        """Return where an upload is completed."""
        return f"{self.base_url}{UPLOADS}/{upload_id}/complete"

    def tenant_data(self, tenant: TenantId) -> str:
        """Return where it is told how far the deletion of a tenant's data is."""
        return f"{self.base_url}/tenants/{tenant}/data"


def output_url(base_url: str, job_id: JobId, index: int, query: str) -> str:
    """Return the link to a job's ``index``-th output below ``base_url``; ``query`` signs it."""
    return f"{base_url}{GENERATE}/{job_id}/outputs/{index}?{query}"
