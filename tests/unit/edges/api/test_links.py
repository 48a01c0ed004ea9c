"""URLs of answers and frames lead to the routes that they name."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from comfyq.domain.files.asset import AssetId
from comfyq.domain.files.upload import UploadId
from comfyq.domain.job import JobId
from comfyq.domain.submission.batch import BatchId
from comfyq.edges.api.links import PROGRESS, Links
from tests.api_lab import ApiLab

pytestmark = pytest.mark.anyio

BASE = "http://lab:8000"
ID = str(uuid4())
LEAD_TO: list[tuple[str, Callable[[Links], str], str]] = [
    ("GET", lambda links: links.job(JobId(ID)), "job-not-found"),
    ("DELETE", lambda links: links.job(JobId(ID)), "job-not-found"),
    ("GET", lambda links: links.output(JobId(ID), 3), "output-not-found"),
    ("GET", lambda links: links.batch(BatchId(ID)), "batch-not-found"),
    ("DELETE", lambda links: links.batch(BatchId(ID)), "batch-not-found"),
    ("GET", lambda links: links.asset(AssetId(ID)), "asset-not-found"),
    ("POST", lambda links: links.completion(UploadId(ID)), "upload-not-found"),
]


async def links_of(lab: ApiLab) -> Links:
    signed = await lab.services.links()
    return Links(base_url=BASE, ws_url=f"ws://lab:8000{PROGRESS}", signed=signed, may_read=True)


@pytest.mark.parametrize(("method", "link", "code"), LEAD_TO)
async def test_every_link_leads_to_its_route(
    method: str, link: Callable[[Links], str], code: str
) -> None:
    lab = ApiLab()
    answer = lab.client.request(method, link(await links_of(lab)))
    assert (answer.status_code, answer.json()["code"]) == (404, code)


async def test_progress_is_pushed_where_the_socket_of_the_job_is() -> None:
    links = await links_of(ApiLab())
    assert links.progress(JobId(ID)) == f"ws://lab:8000/ws/progress/{ID}"
