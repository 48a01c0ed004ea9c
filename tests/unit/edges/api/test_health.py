from dataclasses import replace

import pytest

from comfyq import __version__
from comfyq.domain.caller import Scope
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import JobId, WorkerId
from comfyq.ports.table import Page
from comfyq.records.workers import WorkerState
from comfyq.services.operations.health import Health
from tests.api_lab import ApiLab
from tests.fake_authenticator import with_scopes

pytestmark = pytest.mark.anyio


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


def worker(lab: ApiLab, name: str = "w1") -> WorkerState:
    return WorkerState(
        id=WorkerId(name),
        pid=12,
        host="gpu-1",
        version=__version__,
        engine_ok=True,
        engine_version="0.3.75",
        devices=("cuda:0 NVIDIA L4",),
        jobs=(JobId("j1"),),
        seen_at=lab.clock.now(),
        started_at=lab.clock.now(),
    )


async def test_no_worker_is_degraded(lab: ApiLab) -> None:
    answer = lab.client.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "degraded",
        "comfyui_available": False,
        "version": __version__,
        "reason": "no worker is connected; none was seen in the last 24 hours",
        "simulated": False,
        "stalls": 0,
        "broken_workflows": [],
        "paused_webhook_receivers": 0,
        "workers": [],
    }


async def test_a_worker_whose_comfyui_answers_is_healthy(lab: ApiLab) -> None:
    await lab.workers.beat(worker(lab), ttl_s=90)
    assert lab.client.get("/health").json() == {
        "status": "healthy",
        "comfyui_available": True,
        "version": __version__,
        "reason": None,
        "simulated": False,
        "stalls": 0,
        "broken_workflows": [],
        "paused_webhook_receivers": 0,
        "workers": [
            {
                "id": "w1",
                "host": "gpu-1",
                "pid": 12,
                "version": __version__,
                "comfyui_available": True,
                "comfyui_version": "0.3.75",
                "reason": None,
                "devices": ["cuda:0 NVIDIA L4"],
                "simulated": False,
                "foreign_prompts": 0,
                "draining": False,
                "jobs": ["j1"],
                "started_at": "2026-01-01T00:00:00.000Z",
                "seen_at": "2026-01-01T00:00:00.000Z",
            }
        ],
    }


async def test_a_worker_whose_comfyui_does_not_answer_says_so(lab: ApiLab) -> None:
    reason = "ComfyUI at http://127.0.0.1:8188 does not answer: connection refused"
    down = replace(worker(lab), engine_ok=False, engine_reason=reason, engine_version=None)
    await lab.workers.beat(down, ttl_s=90)
    health = lab.client.get("/health").json()
    assert (health["status"], health["reason"]) == ("degraded", reason)
    await lab.workers.beat(worker(lab, "w2"), ttl_s=90)
    health = lab.client.get("/health").json()
    assert (health["status"], health["reason"]) == ("healthy", None)


async def test_a_comfyui_that_is_busy_with_others_is_healthy_and_says_so(lab: ApiLab) -> None:
    await lab.workers.beat(replace(worker(lab), foreign_prompts=3), ttl_s=90)
    health = lab.client.get("/health").json()
    assert health["status"] == "healthy"
    assert health["reason"] == "ComfyUI first runs 3 prompts of others, sent to it without comfyq"
    assert health["workers"][0]["foreign_prompts"] == 3
    await lab.workers.beat(worker(lab, "w2"), ttl_s=90)
    assert lab.client.get("/health").json()["reason"] is None, "the next job begins at once"


async def test_a_silent_worker_is_none(lab: ApiLab) -> None:
    await lab.workers.beat(worker(lab), ttl_s=90)
    lab.clock.advance(19.9)
    assert lab.client.get("/health").json()["status"] == "healthy"
    lab.clock.advance(0.2)
    health = lab.client.get("/health").json()
    assert (health["status"], health["workers"]) == ("degraded", [])


async def test_workers_that_shut_down_run_nothing_new(lab: ApiLab) -> None:
    await lab.workers.beat(replace(worker(lab), draining=True), ttl_s=90)
    health = lab.client.get("/health").json()
    assert (health["status"], health["comfyui_available"]) == ("degraded", True)
    assert "shutting down" in health["reason"]


async def test_a_simulated_comfyui_is_called_so(lab: ApiLab) -> None:
    await lab.workers.beat(replace(worker(lab), simulated=True), ttl_s=90)
    assert lab.client.get("/health").json()["simulated"] is True
    await lab.workers.beat(worker(lab, "w2"), ttl_s=90)
    assert lab.client.get("/health").json()["simulated"] is False


async def test_scaled_to_zero_is_healthy() -> None:
    lab = ApiLab(COMFYQ_SCALE_TO_ZERO=True)
    health = lab.client.get("/health").json()
    assert (health["status"], health["reason"]) == ("healthy", "scaled to zero")
    broken = replace(worker(lab), engine_ok=False, engine_reason="it crashed")
    await lab.workers.beat(broken, ttl_s=90)
    health = lab.client.get("/health").json()
    assert (health["status"], health["reason"]) == ("degraded", "it crashed")


async def test_a_table_that_does_not_answer_is_the_reason(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_: object, **__: object) -> Page:
        raise TableUnavailable("no route to it")

    monkeypatch.setattr(lab.table, "query", down)
    answer = lab.client.get("/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert "no route to it" in answer.json()["reason"]


async def test_a_state_comes_back_as_it_was_told(lab: ApiLab) -> None:
    states = [
        worker(lab, "a"),
        replace(worker(lab, "b"), engine_ok=False, engine_reason="x", engine_version=None),
        replace(worker(lab, "c"), devices=(), jobs=(), draining=True, simulated=True),
        replace(worker(lab, "d"), family="flux"),
    ]
    for state in states:
        await lab.workers.beat(state, ttl_s=90)
    assert list(await lab.workers.live()) == states
    await lab.workers.end(WorkerId("b"))
    await lab.workers.end(WorkerId("b"))
    assert [each.id for each in await lab.workers.live()] == ["a", "c", "d"]


async def test_more_workers_than_a_page_holds(lab: ApiLab) -> None:
    for number in range(120):
        await lab.workers.beat(worker(lab, f"w{number:03}"), ttl_s=90)
    assert len(lab.client.get("/health").json()["workers"]) == 120


async def test_a_broken_workflow_is_named_beside_a_healthy_system(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lab.workers.beat(worker(lab), ttl_s=90)
    monkeypatch.setattr(lab.services.workflows, "faults", lambda: {"torn": "graph.json:1: ..."})
    health = lab.client.get("/health").json()
    assert (health["status"], health["broken_workflows"]) == ("healthy", ["torn"])


@pytest.mark.parametrize("shown", [{}, {"Authorization": "Bearer cq_0_0"}, {"X-API-Key": "x"}])
async def test_a_server_with_keys_tells_strangers_its_status_alone(
    shown: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells load balancers what they ask for, and what clients of the contract read."""
    lab = ApiLab(COMFYQ_AUTH="keys")
    monkeypatch.setattr(lab.services.workflows, "faults", lambda: {"torn": "graph.json:1: ..."})
    await lab.workers.beat(replace(worker(lab), foreign_prompts=3), ttl_s=90)
    health = lab.client.get("/health", headers=shown).json()
    assert {name: value for name, value in health.items() if value is not None} == {
        "status": "healthy",
        "comfyui_available": True,
        "version": __version__,
    }


async def test_who_is_known_is_told_the_rest_but_of_no_machine_and_no_job() -> None:
    lab = ApiLab(authenticator=with_scopes(Scope.METRICS))
    await lab.workers.beat(replace(worker(lab), foreign_prompts=3), ttl_s=90)
    health = lab.client.get("/health").json()
    [shown] = health["workers"]
    assert "3 prompts of others" in health["reason"]
    assert (health["broken_workflows"], health["stalls"], health["simulated"]) == ([], 0, False)
    assert {shown[name] for name in ("id", "host", "pid", "jobs")} == {None}


async def test_a_table_that_can_check_no_key_still_has_its_status_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = ApiLab(COMFYQ_AUTH="keys")

    async def down(*_: object, **__: object) -> Page:
        raise TableUnavailable("no route to it")

    monkeypatch.setattr(lab.table, "query", down)
    monkeypatch.setattr(lab.table, "get", down)
    key = f"cq_{'0' * 16}_{'0' * 64}"
    answer = lab.client.get("/health", headers={"X-API-Key": key})
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")


async def test_writes_that_fail_degrade_a_system_whose_workers_are_well(lab: ApiLab) -> None:
    failures = iter(["the disk is full", None])
    await lab.workers.beat(worker(lab), ttl_s=90)
    lab.services.health = Health(workers=lab.workers, write_failure=lambda: next(failures))
    degraded, again = (lab.client.get("/health").json() for _ in range(2))
    assert (degraded["status"], again["status"], again["reason"]) == ("degraded", "healthy", None)
    assert "the disk is full; free space" in degraded["reason"]


async def test_a_server_is_ready_without_workers(lab: ApiLab) -> None:
    answers = {name: lab.client.get(f"/health/{name}") for name in ("live", "ready")}
    assert {name: (each.status_code, each.json()) for name, each in answers.items()} == {
        "live": (200, {"status": "live"}),
        "ready": (200, {"status": "ready"}),
    }


async def test_a_server_without_its_table_lives_but_is_not_ready(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_: object, **__: object) -> Page:
        raise TableUnavailable("no route to it")

    monkeypatch.setattr(lab.table, "query", down)
    assert lab.client.get("/health/live").status_code == 200
    ready = lab.client.get("/health/ready")
    assert (ready.status_code, ready.json()["code"]) == (503, "table-unavailable")
    assert "no route to it" in ready.json()["detail"]
    assert int(ready.headers["retry-after"]) > 0


async def test_a_server_that_cannot_store_is_not_ready(lab: ApiLab) -> None:
    lab.services.health = Health(workers=lab.workers, write_failure=lambda: "the disk is full")
    ready = lab.client.get("/health/ready")
    assert ready.status_code == 503
    assert "the disk is full" in ready.json()["detail"]


@pytest.mark.parametrize(("nodes", "reason"), [("saef", True), ("safe", False), ("*", False)])
async def test_lists_that_forbid_every_workflow_are_the_reason(nodes: str, reason: bool) -> None:
    lab = ApiLab(COMFYQ_NODES=nodes)
    await lab.workers.beat(worker(lab), ttl_s=90)
    told = lab.client.get("/health").json()["reason"]
    assert (told is not None) == reason
    assert not reason or told.startswith("COMFYQ_NODES and COMFYQ_NODES_DENIED forbid every")


async def test_the_reason_is_first_what_makes_it_degraded() -> None:
    health = ApiLab(COMFYQ_NODES="saef").client.get("/health").json()
    assert (health["status"], health["reason"][:23]) == ("degraded", "no worker is connected;")
