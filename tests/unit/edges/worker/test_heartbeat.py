"""What a worker says of itself while it works."""

from dataclasses import replace
from datetime import UTC, datetime

import anyio
import pytest

from comfyq.aio.tasks import beside
from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.environment.description import environment_digest
from comfyq.domain.job import Job, JobId, WorkerId
from comfyq.edges.worker.engine_watch import EngineWatch
from comfyq.edges.worker.heartbeat import Heartbeat, Identity
from comfyq.edges.worker.readiness import Readiness
from comfyq.edges.worker.space_watch import SpaceWatch
from comfyq.edges.worker.unstopped_watch import UnstoppedWatch
from comfyq.records.workers import WorkerState
from tests.farm import Farm

pytestmark = pytest.mark.anyio

INSTALLED = "python numpy==2.3.1\n"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Room:
    def shortage(self) -> str | None:
        return None


def job(name: str, family: str) -> Job:
    return jobs.submitted(
        id=JobId(name), tenant=DEFAULT_TENANT, workflow="w", created_at=NOW, family=family
    )


class Lab:
    def __init__(self, farm: Farm, *, period_s: float = 0.01) -> None:
        self.farm = farm
        worker = self.farm.worker("w1")
        watch = EngineWatch(
            worker.engine,
            membership=worker.membership,
            before_claims=worker.parts.losses.settle,
            period_s=60,
        )
        unstopped = UnstoppedWatch(worker.stopper, engine_watch=watch, clock=self.farm.clock)
        self.watch, self.workers = watch, self.farm.services.workers
        self.heartbeat = Heartbeat(
            Identity(WorkerId("w1"), "host", 1, "1.2.3", environment=INSTALLED),
            records=self.workers,
            membership=worker.membership,
            readiness=Readiness(engine=watch, space=SpaceWatch(Room()), unstopped=unstopped),
            clock=self.farm.clock,
            period_s=period_s,
        )

    async def told(self, **expected: object) -> WorkerState:
        """Wait until the worker's record says so."""
        with anyio.fail_after(10):
            while True:
                for state in await self.workers.live():
                    if all(getattr(state, name) == value for name, value in expected.items()):
                        return state
                self.farm.clock.advance(5)
                await anyio.sleep(0.01)


async def test_the_jobs_it_holds_and_the_family_of_the_last_are_told(farm: Farm) -> None:
    lab = Lab(farm)
    async with beside(lab.heartbeat.run()):
        assert (await lab.told(jobs=())).family is None
        lab.heartbeat.add(job("j1", "flux"))
        lab.heartbeat.add(job("j2", "sd15"))
        await lab.told(jobs=("j1", "j2"), family="sd15")
        lab.heartbeat.remove(JobId("j1"), 0)
        lab.heartbeat.remove(JobId("j2"), 0)
        await lab.told(jobs=(), family="sd15")


async def test_its_environment_is_told_once_its_comfyui_has_told_its_version(farm: Farm) -> None:
    lab = Lab(farm)
    async with beside(lab.heartbeat.run()):
        assert (await lab.told(engine_version=None)).environment is None
        await lab.watch.look()
        info = lab.watch.info
        assert info is not None
        await lab.told(environment=environment_digest(info.version, INSTALLED))


async def test_what_others_see_of_it_is_stored_at_once_not_at_the_next_beat(farm: Farm) -> None:
    lab = Lab(farm, period_s=10**6)
    async with beside(lab.heartbeat.run()):
        await lab.told(engine_ok=False)
        await lab.watch.look()
        lab.watch.on_change()
        await lab.told(engine_ok=True)
        lab.watch.doubt()
        await lab.told(engine_ok=False)
        lab.heartbeat.drain()
        await lab.told(draining=True)


async def test_a_clock_that_is_set_back_stops_no_heartbeat(farm: Farm) -> None:
    heartbeat = Lab(farm, period_s=10).heartbeat
    await heartbeat.publish()
    assert heartbeat.is_current
    farm.clock.advance(-3_600)
    await heartbeat.publish()
    [shown] = await farm.services.workers.known()
    assert shown.seen_at == farm.clock.now()


async def test_a_job_that_is_held_again_is_still_held_when_its_former_attempt_ends(
    farm: Farm,
) -> None:
    heartbeat = Lab(farm).heartbeat
    heartbeat.add(replace(job("j1", "flux"), attempt=1))
    heartbeat.add(replace(job("j1", "flux"), attempt=2))
    heartbeat.remove(JobId("j1"), 1)
    assert heartbeat.busy
    heartbeat.remove(JobId("j1"), 2)
    assert not heartbeat.busy


async def test_prompts_of_others_before_a_job_are_stored_at_once_until_it_starts_or_ends(
    farm: Farm,
) -> None:
    lab = Lab(farm, period_s=10**6)
    async with beside(lab.heartbeat.run()):
        for name in ("j1", "j2"):
            lab.heartbeat.add(job(name, "flux"))
        lab.heartbeat.delay(JobId("j1"), 0, 1)
        lab.heartbeat.delay(JobId("j2"), 0, 3)
        await lab.told(foreign_prompts=3)
        lab.heartbeat.delay(JobId("j2"), 0, 0)
        await lab.told(foreign_prompts=1)
        lab.heartbeat.remove(JobId("j1"), 0)
        lab.heartbeat.delay(JobId("j1"), 0, 5)  # its attempt has ended
        await lab.told(foreign_prompts=0)
