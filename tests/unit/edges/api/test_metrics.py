"""What Prometheus reads of a server: over HTTP, as text, after real requests and jobs."""

import json
from collections.abc import Mapping

import pytest
from prometheus_client.parser import text_string_to_metric_families

from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import JobError
from comfyq.testing.memory.table import MemoryTable
from tests.api_lab import ApiLab

pytestmark = pytest.mark.anyio

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


def scraped(lab: ApiLab) -> Samples:
    answer = lab.client.get("/metrics", headers={"Accept": "text/plain"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def of(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0.0)


def grown(before: Samples, after: Samples, name: str, **labels: str) -> float:
    return of(after, name, **labels) - of(before, name, **labels)


async def submitted(lab: ApiLab, **request: object) -> str:
    job_id: str = lab.client.post("/generate", json={"prompt": "x", **request}).json()["id"]
    return job_id


async def test_jobs_attempts_and_failures_are_counted(lab: ApiLab) -> None:
    before = scraped(lab)
    won, lost = await submitted(lab), await submitted(lab)
    lab.clock.advance(3)
    await lab.succeed(won)
    await lab.fail(lost, JobError("node-error", "no"))
    after = scraped(lab)
    workflow = lab.client.get(f"/generate/{won}").json()["workflow"]
    expected = {
        ("comfyq_jobs_accepted_total", ()): 2,
        ("comfyq_jobs_ended_total", (("status", "succeeded"),)): 1,
        ("comfyq_jobs_ended_total", (("status", "failed"),)): 1,
        ("comfyq_attempts_total", (("verdict", "succeeded"),)): 1,
        ("comfyq_attempts_total", (("verdict", "failed"),)): 1,
        ("comfyq_wait_seconds_count", ()): 2,
        ("comfyq_wait_seconds_sum", ()): 6,
        ("comfyq_wait_seconds_bucket", (("le", "2.5"),)): 0,
        ("comfyq_wait_seconds_bucket", (("le", "5.0"),)): 2,
    }
    told = {
        (name, labels): grown(before, after, name, workflow=workflow, **dict(labels))
        for name, labels in expected
    }
    assert told == pytest.approx(expected)  # sums of a whole process, whose fractions are rounded
    assert grown(before, after, "comfyq_failures_total", code="node-error") == 1


async def test_requests_are_counted_by_route_and_never_by_path(lab: ApiLab) -> None:
    before = scraped(lab)
    job_id = await submitted(lab)
    lab.client.get(f"/generate/{job_id}")
    lab.client.get("/generate/none")
    lab.client.get("/no/such/place")
    lab.client.request("BREW", "/generate")
    after = scraped(lab)
    name, route = "comfyq_http_requests_total", "/generate/{job_id}"
    assert grown(before, after, name, method="POST", route="/generate", status="202") == 1
    assert grown(before, after, name, method="GET", route=route, status="200") == 1
    assert grown(before, after, name, method="GET", route=route, status="404") == 1
    assert grown(before, after, name, method="GET", route="none", status="404") == 1
    assert grown(before, after, name, method="other", route="/generate", status="405") == 1
    count = "comfyq_http_request_seconds_count"
    assert grown(before, after, count, method="GET", route=route) == 2
    assert not any(job_id in value for _, labels in after for _, value in labels)


async def test_waiting_jobs_are_told_by_family_with_the_age_of_the_oldest(lab: ApiLab) -> None:
    await submitted(lab, workflow="sd15")
    lab.clock.advance(60)
    await submitted(lab, workflow="sd15")
    samples = scraped(lab)
    family = next(each.family for each in lab.services.library.all() if each.name == "sd15")
    assert of(samples, "comfyq_jobs_waiting", family=family) == 2
    assert of(samples, "comfyq_oldest_waiting_seconds", family=family) == 60
    assert of(samples, "comfyq_table_up") == 1


async def test_a_family_that_a_client_made_up_is_counted_with_others(lab: ApiLab) -> None:
    graph = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "mine.ckpt"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "a"}},
    }
    answer = lab.client.post("/generate", json={"graph": graph})
    assert answer.status_code == 202, answer.text
    samples = scraped(lab)
    assert of(samples, "comfyq_jobs_waiting", family="other") == 1
    assert "mine" not in json.dumps([*map(str, samples)])


async def test_a_table_that_is_away_hides_no_numbers_of_the_process(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> Mapping[str, object]:
        raise TableUnavailable("no answer")

    monkeypatch.setattr(MemoryTable, "query", away)
    samples = scraped(lab)
    assert of(samples, "comfyq_table_up") == 0
    assert ("comfyq_sockets", frozenset()) in samples
    assert not any(name == "comfyq_workers_live" for name, _ in samples)


async def test_a_function_of_lambda_shows_the_deployments_numbers_alone() -> None:
    lab = ApiLab(AWS_LAMBDA_FUNCTION_NAME="api")
    await submitted(lab)
    names = {name for name, _ in scraped(lab)}
    assert "comfyq_workers_live" in names
    assert "comfyq_jobs_accepted_total" not in names


async def test_openmetrics_is_spoken_to_those_who_ask_for_it(lab: ApiLab) -> None:
    wanted = "application/openmetrics-text; version=1.0.0"
    answer = lab.client.get("/metrics", headers={"Accept": wanted})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
