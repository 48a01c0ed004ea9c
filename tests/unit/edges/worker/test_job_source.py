"""Jobs that were set aside, found among those that are ready."""

from dataclasses import dataclass
from typing import Any

import pytest

from comfyq.domain.errors import DomainError, TableUnavailable, TooContended
from comfyq.domain.graph.graph import Graph
from comfyq.domain.graph.validation import validate
from comfyq.domain.job import Job, JobStatus
from comfyq.edges.worker.job_source import JobSource
from tests.farm import Farm, FarmWorker
from tests.scripted_engine import CLASSES
from tests.unit.services.worker.choice_lab import turns_of, waiting
from tests.unit.services.worker.test_capabilities import GRAPH, classes, worker

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Lab:
    farm: Farm
    poor: FarmWorker
    able: FarmWorker
    source: JobSource  # of the able worker

    async def set_aside(self, *, graph: Graph = GRAPH) -> Job:
        job = await waiting(self.farm, "flux", graph=graph)
        await self.poor.run_once()
        self.farm.clock.advance(1)
        return job

    async def claims(self) -> str | None:
        """Claim what is found without a doorbell; return its id."""
        claim = await self.source.suited()
        held = await claim() if claim else None
        return held.id if held else None

    async def claims_by_doorbell(self) -> str | None:
        claim = await self.source.rung()
        held = await claim() if claim else None
        return held.id if held else None


@pytest.fixture
async def lab(farm: Farm) -> Lab:
    able = worker(farm, "able", classes("mine"))
    await able.capabilities.object_info()
    source = JobSource(
        claims=able.claims,
        queue=farm.queue,
        turns=turns_of(farm, max_wait_s=None),
        wait_s=0,
        may_claim=lambda: True,
        aside=able.parts.aside,
    )
    return Lab(farm, worker(farm, "poor", CLASSES), able, source)


@pytest.mark.parametrize("fault", [TableUnavailable("503"), TooContended("busy")])
async def test_a_job_whose_claim_failed_is_found_again(lab: Lab, fault: DomainError) -> None:
    job = await lab.set_aside()
    await lab.able.parts.aside.look()
    claim = await lab.source.suited()
    assert claim is not None
    lab.farm.table.faults_before.append(fault)
    try:
        assert await claim() is None
    except TableUnavailable as raised:
        assert raised is fault  # noqa: PT017 - the other fault is not raised
    assert await lab.claims() is None, "not before the next look"
    await lab.able.parts.aside.look()
    assert await lab.claims() == job.id


async def test_a_job_that_another_worker_has_is_not_found_again(lab: Lab) -> None:
    job = await lab.set_aside()
    await lab.able.parts.aside.look()
    other = worker(lab.farm, "other", classes("mine"))
    assert await other.claims.claim_waiting(job.id) is not None
    assert await lab.claims() is None
    await lab.able.parts.aside.look()
    assert lab.able.parts.aside.oldest() is None


async def test_a_defect_that_one_job_meets_does_not_keep_others_aside(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {**GRAPH, "5": GRAPH["9"]}
    await lab.set_aside(graph=broken)
    sound = await lab.set_aside()

    def defective(graph: Graph, catalogue: Any, **options: Any) -> Any:
        if graph == broken:
            raise RecursionError
        return validate(graph, catalogue, **options)

    monkeypatch.setattr("comfyq.services.worker.capabilities.validate", defective)
    await lab.able.parts.aside.look()
    assert await lab.claims() == sound.id


async def test_a_ready_job_that_has_waited_longer_goes_first(lab: Lab) -> None:
    older = await waiting(lab.farm, "sdxl")
    (doorbell,) = lab.farm.queue.messages
    lab.farm.queue.messages.clear()  # another worker is not to take it
    lab.farm.clock.advance(1)
    aside = await lab.set_aside()
    younger = await waiting(lab.farm, "sdxl")
    lab.farm.queue.messages.insert(0, doorbell)
    await lab.able.parts.aside.look()
    assert await lab.claims() is None
    assert await lab.claims_by_doorbell() == older.id
    assert await lab.claims() == aside.id
    assert await lab.claims() is None
    assert await lab.claims_by_doorbell() == younger.id


async def test_a_ready_job_whose_doorbell_is_lost_delays_none_that_was_set_aside(lab: Lab) -> None:
    lost = await waiting(lab.farm, "sdxl")
    lab.farm.queue.messages.clear()
    lab.farm.clock.advance(1)
    aside = await lab.set_aside()
    await lab.able.parts.aside.look()
    assert await lab.claims() is None
    assert await lab.claims_by_doorbell() == aside.id
    assert (await lab.farm.records.get(lost.id)).status is JobStatus.QUEUED
