"""Secrets in the URLs of input files: for the worker's eyes alone."""

import io
import json
import logging
from typing import Any

import pytest

from comfyq.aio.structured import logger_from
from comfyq.domain.job import JobError, JobId
from tests.api_lab import ApiLab

pytestmark = pytest.mark.anyio

SECRET = "PLANTEDSECRET"
URL = f"https://b.example/a%2Fb.png?X-Amz-Signature={SECRET}&t={SECRET}"
SHOWN = "https://b.example/a%2Fb.png"


@pytest.fixture(scope="module")
def lab() -> ApiLab:
    return ApiLab()


def submit(lab: ApiLab, **more: Any) -> Any:
    body = {"workflow": "sd15-img2img", "prompt": "a fox"} | more
    return lab.client.post("/generate", json=body)


@pytest.mark.parametrize("image", [URL, {"source": URL, "fit": "cover"}, f" {URL}\n"])
async def test_a_query_is_kept_for_the_worker_and_shown_to_nobody(lab: ApiLab, image: Any) -> None:
    answer = submit(lab, image=image)
    assert answer.status_code == 202
    job_id = answer.json()["id"]
    spec = await lab.records.spec(JobId(job_id))
    assert [file.source for file in spec.inputs] == [URL]
    await lab.fail(job_id, JobError("input-unavailable", f"image: no {URL}", None, (URL,)))
    shown = {
        path: lab.client.get(f"/generate/{job_id}{path}").text
        for path in ("", "/story", "/metadata")
    }
    assert not [path for path, text in shown.items() if SECRET in text]
    assert SHOWN in shown["/metadata"]
    assert SHOWN in shown["/story"]
    assert SHOWN in shown[""]


async def test_a_retry_fetches_the_same_url_and_shows_as_little(lab: ApiLab) -> None:
    job_id = submit(lab, image=URL).json()["id"]
    await lab.fail(job_id, JobError("input-unavailable", "image: it did not answer"))
    answer = lab.client.post(f"/generate/{job_id}/retry")
    assert answer.status_code == 202, answer.text
    again = answer.json()["id"]
    assert [file.source for file in (await lab.records.spec(JobId(again))).inputs] == [URL]
    assert SECRET not in answer.text + lab.client.get(f"/generate/{again}/story").text


def test_a_dry_run_shows_none_either(lab: ApiLab) -> None:
    body = {"workflow": "sd15-img2img", "prompt": "a fox", "image": URL}
    answer = lab.client.post("/generate?dry_run=true", json=body)
    assert answer.status_code == 200
    assert SHOWN in answer.text
    assert SECRET not in answer.text


@pytest.mark.parametrize("scheme", ["http", "HTTPS"])
def test_a_user_in_a_url_is_refused(lab: ApiLab, scheme: str) -> None:
    url = f"{scheme}://user:{SECRET}@h/a.png"
    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": url}}}
    refused = [
        submit(lab, image=url),
        submit(lab, image={"source": f" {url}", "fit": "none"}),
        lab.client.post("/generate", json={"graph": graph}),
        lab.client.post("/generate/batch", json={"requests": [{"graph": graph}]}),
    ]
    for answer in refused:
        assert answer.status_code == 422
        assert "user or password" in answer.text
        assert SECRET not in answer.text


def test_a_graph_takes_urls_of_any_case(lab: ApiLab) -> None:
    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": "\tHTTPS://h/a.png"}}}
    answer = lab.client.post("/generate?dry_run=true", json={"graph": graph})
    assert answer.json()["graph"]["1"]["inputs"]["image"].startswith("comfyq-input/")


def test_a_refusal_quotes_no_secret(lab: ApiLab) -> None:
    answer = submit(lab, image="asset:5f0c8a1e-3f5b-4a52-9d0e-7c1f2b9a6d34", sampler=URL, cfg=URL)
    assert answer.status_code == 422
    assert SECRET not in answer.text


def test_nor_does_a_line_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    log = logger_from(logging.INFO, dict)
    try:
        raise ValueError(URL)
    except ValueError as error:
        log.error("failed", reason=f"no {URL}!", exc_info=error)
    line = json.loads(written.getvalue())
    assert SECRET not in written.getvalue()
    assert line["reason"] == f"no {SHOWN}"
