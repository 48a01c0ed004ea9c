"""Real and simulated ComfyUIs at one store: who works there, and what becomes of a claim."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from comfyq.bootstrap.workers.membership import membership_of
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import JobId, JobStatus, WorkerId
from comfyq.domain.store_kind import StoreKind
from comfyq.ports.engine import EngineInfo
from comfyq.records.store_kinds import StoredKind, StoreKindRecords
from comfyq.records.workers import WorkerRecords, WorkerState
from comfyq.services.worker.membership import Membership, NotAdmitted
from tests.farm import Farm

LIVE_S = 20  # COMFYQ_LIVE_S, where it is not set

pytestmark = pytest.mark.anyio

REAL = EngineInfo("0.33.0", ("GPU",), simulated=False)
SIMULATOR = EngineInfo("0.33.0", ("cpu",), simulated=True)


def member(farm: Farm, name: str) -> Membership:
    return membership_of(farm.services, WorkerId(name))


async def beat(farm: Farm, name: str, info: EngineInfo | None, **values: Any) -> None:
    now: datetime = farm.clock.now()
    state = WorkerState(
        id=WorkerId(name),
        pid=1,
        host="h",
        version="1",
        engine_ok=info is not None,
        engine_version=info.version if info else None,
        simulated=info.simulated if info else False,
        seen_at=now,
        started_at=now,
    )
    await farm.services.workers.beat(replace(state, **values), ttl_s=90)


@pytest.mark.parametrize("info", [REAL, SIMULATOR])
async def test_the_first_decides_and_its_like_may_follow(farm: Farm, info: EngineInfo) -> None:
    for name in ("first", "second"):
        joined = member(farm, name)
        await joined.join(info)
        await beat(farm, name, info)
        assert joined.simulated is info.simulated
        assert await joined.lasts()


async def test_a_simulator_never_joins_what_is_real(farm: Farm) -> None:
    await member(farm, "real").join(REAL)
    farm.clock.advance(LIVE_S * 100)
    with pytest.raises(NotAdmitted, match="give it a data directory"):
        await member(farm, "simulator").join(SIMULATOR)


async def test_a_real_comfyui_waits_for_simulators_that_work_and_then_takes_over(
    farm: Farm,
) -> None:
    simulator, real = (
        member(farm, "simulator"),
        member(farm, "real"),
    )
    await simulator.join(SIMULATOR)
    await beat(farm, "simulator", SIMULATOR)
    with pytest.raises(NotAdmitted, match="simulator"):
        await real.join(REAL)
    assert await simulator.lasts()
    farm.clock.advance(LIVE_S)
    await real.join(REAL)
    assert not await simulator.lasts()
    with pytest.raises(NotAdmitted):
        await simulator.join(SIMULATOR)


async def test_a_simulator_in_doubt_is_waited_for_while_it_holds_jobs(farm: Farm) -> None:
    await member(farm, "simulator").join(SIMULATOR)
    await beat(farm, "simulator", SIMULATOR, engine_ok=False, jobs=(JobId("j1"),))
    real = member(farm, "real")
    with pytest.raises(NotAdmitted, match="simulator"):
        await real.join(REAL)
    await beat(farm, "simulator", SIMULATOR, engine_ok=False)
    await real.join(REAL)


async def test_a_simulator_waits_until_it_is_known_what_the_others_have(farm: Farm) -> None:
    await beat(farm, "loading", None)
    simulator = member(farm, "simulator")
    with pytest.raises(NotAdmitted) as refused:
        await simulator.join(SIMULATOR)
    assert refused.value.may_pass
    await beat(farm, "loading", SIMULATOR)
    await simulator.join(SIMULATOR)
    assert await farm.kinds.kind() is StoreKind.SIMULATED


async def test_of_two_that_start_at_once_one_is_refused(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real one has written between the read and the write of the simulator."""
    change = StoreKindRecords.change

    async def overtaken(records: StoreKindRecords, seen: StoredKind, new: StoreKind) -> None:
        await change(records, StoredKind(), StoreKind.REAL)
        await change(records, seen, new)

    monkeypatch.setattr(StoreKindRecords, "change", overtaken)
    with pytest.raises(NotAdmitted):
        await member(farm, "simulator").join(SIMULATOR)
    assert await farm.kinds.kind() is StoreKind.REAL


async def test_a_simulator_that_begins_to_work_during_a_take_over_is_seen(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its heartbeat comes between the look of the real one at the workers and its write."""
    simulator = member(farm, "simulator")
    await simulator.join(SIMULATOR)
    live = WorkerRecords.live

    async def look(records: WorkerRecords) -> Sequence[WorkerState]:
        seen = await live(records)
        await beat(farm, "simulator", SIMULATOR)
        await simulator.show()
        return seen

    monkeypatch.setattr(WorkerRecords, "live", look)
    with pytest.raises(NotAdmitted, match="simulator"):
        await member(farm, "real").join(REAL)
    assert await simulator.lasts()


async def test_who_has_joined_goes_on_while_the_table_is_away(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = member(farm, "joined")
    await joined.join(SIMULATOR)

    async def away(records: StoreKindRecords) -> None:
        raise TableUnavailable("503")

    monkeypatch.setattr(StoreKindRecords, "read", away)
    await joined.join(SIMULATOR)
    assert joined.simulated
    with pytest.raises(TableUnavailable):
        await joined.join(REAL)
    with pytest.raises(TableUnavailable):
        await member(farm, "new").join(SIMULATOR)


async def test_a_url_that_leads_to_another_kind_now_is_judged_again(farm: Farm) -> None:
    worker = member(farm, "w")
    await worker.join(REAL)
    with pytest.raises(NotAdmitted):
        await worker.join(SIMULATOR)
    await worker.join(REAL)
    assert not worker.simulated


async def test_what_a_simulator_makes_is_marked(farm: Farm) -> None:
    job, worker = await farm.submit(), farm.worker("w")
    await worker.membership.join(SIMULATOR)
    await worker.run_once()
    ended = await farm.records.get(job.id)
    assert (ended.status, ended.simulated) == (JobStatus.SUCCEEDED, True)


async def test_what_was_claimed_after_a_take_over_is_given_back(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real ComfyUI came between the simulator's look and its claim."""
    job, simulated, real = await farm.submit(), farm.worker("s"), farm.worker("r")
    await simulated.membership.join(SIMULATOR)
    note = farm.journals["s"].note

    async def taken_over(job_id: object) -> None:
        await real.membership.join(REAL)
        await note(job.id)

    monkeypatch.setattr(farm.journals["s"], "note", taken_over)
    assert await simulated.run_once()
    assert not simulated.engine.submitted
    assert not await farm.journals["s"].noted()
    given_back = await farm.records.get(job.id)
    assert (given_back.lease, given_back.failures, given_back.simulated) == (None, 0, False)

    farm.clock.advance(2)
    assert await simulated.run_once(), "its doorbell is heard again, and left"
    assert (await farm.records.get(job.id)).attempt == 1
    farm.clock.advance(2)
    await real.run_once()
    ended = await farm.records.get(job.id)
    assert (ended.status, ended.simulated, ended.attempt) == (JobStatus.SUCCEEDED, False, 2)


async def test_what_was_taken_over_before_it_is_submitted_is_given_back(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real ComfyUI came after the simulator's claim, before it asked a last time."""
    job, simulated, real = await farm.submit(), farm.worker("s"), farm.worker("r")
    await simulated.membership.join(SIMULATOR)
    require = simulated.membership.require

    async def taken_over() -> None:
        await real.membership.join(REAL)
        await require()

    monkeypatch.setattr(simulated.membership, "require", taken_over)
    assert await simulated.run_once()
    assert not simulated.engine.submitted
    await real.run_once()
    ended = await farm.records.get(job.id)
    assert (ended.status, ended.simulated) == (JobStatus.SUCCEEDED, False)
    assert (ended.attempt, ended.failures) == (2, 0)
