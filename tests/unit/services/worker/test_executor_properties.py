"""No crash between two awaits, and no answer that gets lost, breaks what a job is promised.

A worker runs one job over ports that go wrong at chosen calls; whoever follows on must finish it.
"""

import asyncio
import copy
import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from comfyq.domain.errors import (
    AssetsUnavailable,
    NotifierUnavailable,
    QueueUnavailable,
    TableUnavailable,
)
from comfyq.domain.job import Job, JobStatus
from comfyq.ports.table import Put, Write
from tests.effort import share
from tests.farm import FAST, Farm, FarmWorker
from tests.scripted_engine import PowerCut, ScriptedEngine

CALLS = 60  # a whole job makes fewer
ROUNDS = 40  # of a successor, each with time passing, until a job must have ended
PATIENT = replace(FAST, upload_give_up_s=30)  # however slow the machine is
AWAY = {
    "table": TableUnavailable,
    "queue": QueueUnavailable,
    "assets": AssetsUnavailable,
    "notifier": NotifierUnavailable,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault at the worker's ``at``-th call of any port, before or after it is done."""

    at: int
    after: bool
    cut: bool  # the machine goes; else the port does not answer, where it may fail to


@dataclass
class Wire:
    """Everything that one process calls; after a power cut, nothing gets through any more."""

    faults: dict[int, Fault]
    calls: int = 0
    dead: bool = False
    seen: list[str] = field(default_factory=list)

    def wrap(self, port: str, target: Any) -> Any:
        return Wired(self, port, target)

    def begin(self, port: str, call: str) -> Fault | None:
        if self.dead:
            raise PowerCut
        self.seen.append(f"{port}.{call}")
        fault = self.faults.get(self.calls)
        self.calls += 1
        if fault is not None and not fault.after:
            self._strike(fault, port)
        return fault

    def end(self, fault: Fault | None, port: str) -> None:
        if self.dead:
            raise PowerCut
        if fault is not None and fault.after:
            self._strike(fault, port)

    def _strike(self, fault: Fault, port: str) -> None:
        if fault.cut:
            self.dead = True
            raise PowerCut
        if port in AWAY:
            raise AWAY[port](f"{port} was told not to answer")


class Wired:
    """A port whose calls go through a wire."""

    def __init__(self, wire: Wire, port: str, target: Any) -> None:
        self._wire, self._port, self._target = wire, port, target

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._target, name)
        if inspect.isasyncgenfunction(real):
            return lambda *args, **kwargs: self._stream(name, real(*args, **kwargs))
        if inspect.iscoroutinefunction(real):
            return lambda *args, **kwargs: self._call(name, real, args, kwargs)
        return real

    async def _call(self, name: str, real: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        fault = self._wire.begin(self._port, name)
        result = await real(*args, **kwargs)
        self._wire.end(fault, self._port)
        is_delivery = name == "receive" and result is not None
        return self._wire.wrap(self._port, result) if is_delivery else result

    async def _stream(self, name: str, real: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for element in real:
            fault = self._wire.begin(self._port, name)
            yield element
            self._wire.end(fault, self._port)


def through(wire: Wire, farm: Farm) -> Farm:
    """The same farm as a process sees it whose every call goes through ``wire``."""
    view = copy.copy(farm)
    for port in ("table", "queue", "assets", "notifier", "spool"):
        setattr(view, port, wire.wrap(port, getattr(farm, port)))
    view.open()
    return view


class History:
    """Every state of one job that the table has had."""

    def __init__(self, farm: Farm) -> None:
        self.statuses: list[str] = []
        self._write = farm.table.write
        farm.table.write = self._record  # type: ignore[method-assign]

    async def _record(self, *writes: Write, synced: bool = True) -> None:
        # The fake raises its faults after it has written, so a refusal is what it raises here.
        await self._write(*writes)
        self.statuses += [
            write.item["status"]
            for write in writes
            if isinstance(write, Put) and write.item["sk"] == "META" and "status" in write.item
        ]


@dataclass
class Told:
    """The traces that one run of the story left behind."""

    job: Job
    statuses: Sequence[str]
    submitted: int
    frames: Sequence[bytes]
    keys: Sequence[str]
    stored: Sequence[str]
    calls: Sequence[str]


async def story(faults: Sequence[Fault], *, successor: str, same_comfyui: bool) -> Told:
    """A worker with ``faults`` runs a job; then healthy processes follow until it has ended."""
    farm = Farm(timing=PATIENT)
    history = History(farm)
    first, second = ScriptedEngine(), ScriptedEngine()
    wire = Wire({fault.at: fault for fault in faults})
    try:
        job = await farm.submit()
        await farm.follow(job)
        await struck(through(wire, farm).worker("w1", first))
        engine = first if same_comfyui else second
        job = await finished(farm, job, lambda: farm.worker(successor, engine))
        outputs = await farm.records.outputs(job.id)
    finally:
        farm.spool.close()
    return Told(
        job=job,
        statuses=history.statuses,
        submitted=len(first.submitted) + len(second.submitted),
        frames=[frame for _, frame in farm.notifier.posts],
        keys=[output.key for output in outputs],
        stored=list(farm.assets.stored),
        calls=wire.seen,
    )


async def struck(worker: FarmWorker) -> None:
    async with asyncio.timeout(10):
        with suppress(PowerCut, *AWAY.values()):
            for _ in range(3):  # it may see its doorbell again
                await worker.run_once()


async def finished(farm: Farm, job: Job, start: Callable[[], FarmWorker]) -> Job:
    """Let time pass over healthy processes until the job has ended and its end is told."""
    worker = start()
    await worker.retake()
    for _ in range(ROUNDS):
        while await worker.run_once():
            pass
        job = await farm.records.get(job.id)
        if job.status.terminal and not job.end_pending:
            break
        farm.clock.advance(31)
        await farm.reaper.reap()
    return job


def check(outcome: Told) -> None:
    ends = [status for status in outcome.statuses if JobStatus(status).terminal]
    assert set(ends) == {"succeeded"}, "one terminal status, and nobody else's fault fails a job"
    assert outcome.statuses[-len(ends) :] == ends, "nothing comes after the end"
    assert not outcome.job.end_pending
    assert outcome.frames[-1] == b"succeeded 1.0", "whoever follows was told"
    assert outcome.keys, "it has its result"
    assert all(key.startswith(f"outputs/{outcome.job.id}/") for key in outcome.keys)
    assert {key.split("/")[2] for key in outcome.keys} == {str(outcome.job.attempt)}, "the winner's"
    assert set(outcome.keys) <= set(outcome.stored), "and the result is still there"


CUTS = st.builds(
    Fault, at=st.integers(0, CALLS), after=st.booleans(), cut=st.just(True)
)  # one: the dead do not die again
OUTAGES = st.lists(
    st.builds(Fault, at=st.integers(0, CALLS), after=st.booleans(), cut=st.just(False)),
    max_size=4,
    unique_by=lambda fault: fault.at,
)


@settings(max_examples=share(0.4), deadline=None)
@given(cut=CUTS, successor=st.sampled_from(["w1", "w2"]))
def test_after_a_power_cut_the_next_worker_of_that_comfyui_renders_nothing_twice(
    cut: Fault, successor: str
) -> None:
    outcome = asyncio.run(story([cut], successor=successor, same_comfyui=True))
    check(outcome)
    assert outcome.submitted == 1


@settings(max_examples=share(0.3), deadline=None)
@given(cut=CUTS)
def test_after_a_power_cut_a_worker_elsewhere_finishes_the_job(cut: Fault) -> None:
    check(asyncio.run(story([cut], successor="w2", same_comfyui=False)))


@settings(max_examples=share(0.5), deadline=None)
@given(faults=OUTAGES)
@example(faults=[])
def test_what_does_not_answer_for_a_moment_costs_no_second_render(faults: list[Fault]) -> None:
    outcome = asyncio.run(story(faults, successor="w1", same_comfyui=True))
    check(outcome)
    assert outcome.submitted == 1


@settings(max_examples=share(0.4), deadline=None)
@given(faults=OUTAGES, cut=CUTS, same=st.booleans())
def test_outages_and_a_power_cut_together_lose_nothing(
    faults: list[Fault], cut: Fault, same: bool
) -> None:
    struck_there = [fault for fault in faults if fault.at != cut.at]
    check(asyncio.run(story([*struck_there, cut], successor="w2", same_comfyui=same)))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("cut", [False, True], ids=["no answer", "power cut"])
def test_no_single_fault_costs_a_job_or_a_second_render(after: bool, cut: bool) -> None:
    """Chance alone once missed the answer that got lost after the success was stored."""
    whole = asyncio.run(story([], successor="w1", same_comfyui=True))
    for at, call in enumerate(whole.calls):
        outcome = asyncio.run(story([Fault(at, after, cut)], successor="w1", same_comfyui=True))
        check(outcome)
        assert outcome.submitted == 1, call


def test_the_faults_reach_the_whole_of_a_job() -> None:
    """The properties above would prove little if they stopped before the end."""
    outcome = asyncio.run(story([], successor="w1", same_comfyui=True))
    assert len(outcome.calls) < CALLS
    assert {"table.write", "queue.receive", "queue.ack", "assets.put", "notifier.post_all"} <= set(
        outcome.calls
    )
