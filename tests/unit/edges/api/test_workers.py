from dataclasses import replace

import pytest

from comfyq.domain.caller import Caller, Scope, TenantId
from comfyq.domain.job import JobId
from comfyq.domain.job.progress import Progress
from comfyq.records.workers import WorkerState, short
from tests.api_lab import WORKER, ApiLab
from tests.fake_authenticator import FakeAuthenticator

pytestmark = pytest.mark.anyio


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


async def beat(lab: ApiLab, *jobs: str, **said: object) -> None:
    state = WorkerState(
        id=WORKER,
        pid=12,
        host="gpu-1",
        version="1.2.3",
        engine_ok=True,
        engine_version="0.3.75",
        devices=("cuda:0 NVIDIA L4",),
        jobs=tuple(map(JobId, jobs)),
        family="flux",
        seen_at=lab.clock.now(),
        started_at=lab.clock.now(),
    )
    await lab.workers.beat(replace(state, **said), ttl_s=90)  # type: ignore[arg-type]


async def test_a_worker_is_shown_with_its_models_and_its_jobs(lab: ApiLab) -> None:
    job_id = lab.submit()["id"]
    await lab.start(job_id)
    await lab.advance(job_id, Progress(0.5, 1, 2, "KSampler"))
    held = frozenset({short("ab" * 32), short("00" * 32)})
    await beat(lab, job_id, fetches=True, models=held, models_room=7 * 10**9, environment="e" * 16)
    assert lab.client.get("/workers").json() == {
        "workers": [
            {
                "id": WORKER,
                "host": "gpu-1",
                "version": "1.2.3",
                "comfyui_version": "0.3.75",
                "devices": ["cuda:0 NVIDIA L4"],
                "simulated": False,
                "environment": "e" * 16,
                "family": "flux",
                "fetches": True,
                "models": ["00" * 8, "ab" * 8],
                "models_room": 7 * 10**9,
                "jobs": [
                    {
                        "id": job_id,
                        "workflow": "flux-dev",
                        "running": True,
                        "progress": 0.5,
                        "url": f"http://lab:8000/generate/{job_id}",
                    }
                ],
                "faults": [],
                "foreign_prompts": 0,
                "draining": False,
                "since": "2026-01-01T00:00:00.000Z",
                "seen_at": "2026-01-01T00:00:00.000Z",
            }
        ]
    }


async def test_a_worker_that_takes_no_jobs_says_why(lab: ApiLab) -> None:
    await beat(lab, engine_ok=False, engine_reason="no answer", paused="the disk is full")
    [worker] = lab.client.get("/workers").json()["workers"]
    assert worker["faults"] == ["no answer", "the disk is full"]


async def test_what_a_worker_has_ended_lost_or_was_deleted_is_not_shown(lab: ApiLab) -> None:
    ended, waiting = lab.submit()["id"], lab.submit()["id"]
    await lab.succeed(ended)
    await beat(lab, ended, waiting, "deleted")
    assert lab.client.get("/workers").json()["workers"][0]["jobs"] == []


async def test_a_silent_worker_is_not_there(lab: ApiLab) -> None:
    await beat(lab)
    lab.clock.advance(21)
    assert lab.client.get("/workers").json() == {"workers": []}


async def test_another_tenants_jobs_are_not_shown() -> None:
    stranger = Caller(TenantId("stranger"), frozenset({Scope.OPERATOR, Scope.SUBMIT}))
    authenticator = FakeAuthenticator(stranger)
    lab = ApiLab(authenticator=authenticator)
    job_id = lab.submit()["id"]
    await lab.start(job_id)
    await beat(lab, job_id)
    assert len(lab.client.get("/workers").json()["workers"][0]["jobs"]) == 1
    authenticator.caller = Caller(TenantId("other"), stranger.scopes)
    assert lab.client.get("/workers").json()["workers"][0]["jobs"] == []
