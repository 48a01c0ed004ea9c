import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.files.output import Output, OutputKind
from comfyq.domain.job import Job, JobError, JobId, JobStatus
from comfyq.domain.job.estimate import Estimate
from comfyq.domain.job.preview import SmallPicture
from comfyq.domain.job.progress import Progress
from comfyq.edges.websocket.rendering import render, render_preview
from comfyq.ports.engine import MAX_PREVIEW_BYTES
from comfyq.wire.generate.frames import MAX_TEXT, PREVIEW_BEGINS
from tests.followed_jobs import PICTURE

NOW = datetime(2026, 1, 1, tzinfo=UTC)
VIDEO = replace(PICTURE, kind=OutputKind.VIDEO, filename="a.mp4")


def job(**fields: Any) -> Job:
    waiting = jobs.submitted(id=JobId("job-1"), tenant=DEFAULT_TENANT, workflow="w", created_at=NOW)
    return replace(waiting, **fields)


def url_of(index: int) -> str:
    return f"https://here.example/job-1/{index}"


def frame(shown: Job, outputs: list[Output] | None = None) -> dict[str, Any]:
    rendered = render(shown, outputs or [], output_url=url_of)
    decoded: dict[str, Any] = json.loads(rendered)
    return decoded


def test_a_running_job_is_shown_as_documented() -> None:
    progress = Progress(0.5, 10, 20, "KSampler", "3", nodes_done=4, nodes_total=9)
    assert frame(job(status=JobStatus.RUNNING, progress=progress, version=7, attempt=2)) == {
        "kind": "progress",
        "job_id": "job-1",
        "status": "running",
        "progress": 0.5,
        "step": 10,
        "max_steps": 20,
        "message": "KSampler",
        "image_url": None,
        "error": None,
        "error_code": None,
        "seq": 7,
        "attempt": 2,
        "simulated": False,
        "waits_for": None,
        "queue_position": None,
        "eta_s": None,
        "node": "3",
        "node_class": "KSampler",
        "nodes_done": 4,
        "nodes_total": 9,
        "provisioning": None,
    }


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (JobStatus.QUEUED, "queued"),
        (JobStatus.RUNNING, "running"),
        (JobStatus.SUCCEEDED, "completed"),
        (JobStatus.FAILED, "failed"),
        (JobStatus.CANCELED, "canceled"),
        (JobStatus.EXPIRED, "failed"),
    ],
)
def test_every_status_has_a_documented_name(status: JobStatus, shown: str) -> None:
    assert frame(job(status=status))["status"] == shown


def test_an_error_is_told_once_it_is_the_jobs_end() -> None:
    error = JobError("node-error", "no such model", details=("there are: a, b",))
    failed = frame(job(status=JobStatus.FAILED, error=error))
    retried = frame(job(status=JobStatus.QUEUED, error=error))
    assert (failed["error"], failed["error_code"]) == (
        "no such model\nthere are: a, b",
        "node-error",
    )
    assert (retried["error"], retried["error_code"]) == (None, None)


def test_the_image_is_the_first_one_among_all_outputs() -> None:
    done = job(status=JobStatus.SUCCEEDED)
    shown = frame(done, [VIDEO, PICTURE, PICTURE])
    assert shown["image_url"] == url_of(1)
    assert frame(done, [VIDEO])["image_url"] is None


def test_a_frame_stays_below_what_a_socket_takes() -> None:
    error = JobError("node-error", "\N{SNOWMAN}" * 100_000)
    shown = frame(job(status=JobStatus.FAILED, error=error))
    assert len(shown["error"]) == MAX_TEXT
    assert shown["error"].endswith("…")


def test_a_waiting_job_says_why_and_where_it_waits() -> None:
    estimate = Estimate(7, queue_position=3, waits_for="a worker that takes jobs: none is")
    shown = json.loads(render(job(), [], output_url=url_of, estimate=estimate))
    assert shown["waits_for"] == "a worker that takes jobs: none is"
    assert (shown["queue_position"], shown["eta_s"], shown["kind"]) == (3, 7, "status")


def test_a_preview_is_known_unread_and_below_64_kib() -> None:
    picture = SmallPicture(b"\xff" * MAX_PREVIEW_BYTES, "image/jpeg", 384, 256)
    rendered = render_preview(job(attempt=2), "9" * 1_000, picture)
    assert rendered.decode().startswith(PREVIEW_BEGINS)
    assert len(rendered) < 64 * 1024
    shown = json.loads(rendered)
    assert base64.b64decode(shown["data"]) == picture.content
    assert (shown["job_id"], shown["attempt"], shown["width"]) == ("job-1", 2, 384)
