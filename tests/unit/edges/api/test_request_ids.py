"""The id of a request: in answers, problems and log lines."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from comfyq.aio.logs import log
from comfyq.domain.errors import TableUnavailable
from comfyq.records.workers import WorkerRecords
from tests.api_lab import ApiLab

pytestmark = pytest.mark.anyio

HEADER = "X-Request-Id"


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[Any]]:
    """Return what was logged so far, line by line, as it is written."""
    log.configure("info")  # whatever a test before has made of it
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]


async def test_each_answer_has_an_id_of_its_own(lab: ApiLab) -> None:
    first, second = (lab.client.get("/health/live").headers[HEADER] for _ in range(2))
    assert len(first) == 32
    assert first != second


@pytest.mark.parametrize("given", ["a", "req_1.2-3", "A" * 64])
async def test_a_well_formed_id_of_the_client_is_kept(lab: ApiLab, given: str) -> None:
    answer = lab.client.get("/health/live", headers={HEADER: given})
    assert answer.headers[HEADER] == given


@pytest.mark.parametrize("given", ["", "A" * 65, "a b", "é", "a;b", '{"x"}'])
async def test_another_id_is_replaced(lab: ApiLab, given: str) -> None:
    answer = lab.client.get("/health/live", headers={HEADER: given.encode()})
    assert len(answer.headers[HEADER]) == 32


async def test_a_problem_names_its_request(lab: ApiLab) -> None:
    answer = lab.client.get("/generate/none", headers={HEADER: "mine"})
    assert (answer.status_code, answer.headers[HEADER]) == (404, "mine")
    assert answer.json()["request_id"] == "mine"


async def test_a_defect_names_its_request_too(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch, lines: Any
) -> None:
    async def broken(_: WorkerRecords) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(WorkerRecords, "known", broken)
    answer = lab.client.get("/health", headers={HEADER: "mine"})
    assert (answer.status_code, answer.headers[HEADER]) == (500, "mine")
    assert answer.json()["request_id"] == "mine"
    [line] = lines()
    assert (line["event"], line["request"]) == ("request_failed", "mine")


async def test_the_lines_of_a_request_name_it(lab: ApiLab, lines: Any) -> None:
    answer = lab.client.post("/generate", json={"prompt": "a fox"}, headers={HEADER: "mine"})
    accepted = [line for line in lines() if line["event"] == "job_accepted"]
    assert [(line["request"], line["job"]) for line in accepted] == [("mine", answer.json()["id"])]


async def test_an_answer_about_a_table_that_is_away_names_its_request(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: WorkerRecords) -> None:
        raise TableUnavailable("no answer")

    monkeypatch.setattr(WorkerRecords, "known", away)
    answer = lab.client.get("/health/ready", headers={HEADER: "mine"})
    assert (answer.status_code, answer.json()["code"]) == (503, "table-unavailable")
    assert answer.json()["request_id"] == "mine"
