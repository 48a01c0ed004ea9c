"""Latches: conditions that keep a worker from claiming, and that let it go on."""

import asyncio

import pytest

from comfyq.domain.job import WorkerId
from comfyq.edges.worker.engine_watch import EngineWatch
from comfyq.edges.worker.unstopped_watch import UnstoppedWatch
from comfyq.ports.engine import EngineInfo, EngineUnavailable, PromptId, PromptState
from comfyq.records.store_kinds import StoreKindRecords
from comfyq.records.workers import WorkerRecords
from comfyq.services.worker.membership import Membership
from comfyq.services.worker.prompt_stopper import PromptStopper
from comfyq.services.worker.timing import Timing
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.table import MemoryTable
from tests.scripted_engine import ScriptedEngine, until

pytestmark = pytest.mark.anyio

ONE = PromptId("one")


class DeafEngine(ScriptedEngine):
    """Heeds no interrupt, and answers unless it is ``away``."""

    def __init__(self, state: PromptState) -> None:
        super().__init__()
        self.states = {ONE: state}
        self.away = False

    async def cancel(self, prompt_id: PromptId) -> bool:
        self._answer()
        return False

    async def find(self, prompt_id: PromptId) -> PromptState:
        self._answer()
        return await super().find(prompt_id)

    async def info(self) -> EngineInfo:
        self._answer()
        return await super().info()

    def _answer(self) -> None:
        if self.away:
            raise EngineUnavailable("no answer")


class Lab:
    def __init__(self, state: PromptState, *, stop_s: float = 600) -> None:
        self.engine, clock = DeafEngine(state), ManualClock()
        table = MemoryTable(clock=clock)
        self.stopper = PromptStopper(self.engine, timing=Timing(let_go_s=0, stop_s=stop_s))
        self.watch = EngineWatch(
            self.engine,
            membership=Membership(
                WorkerId("w"),
                kinds=StoreKindRecords(table),
                workers=WorkerRecords(table, clock=clock, live_s=20),
            ),
            before_claims=lambda: asyncio.sleep(0),
            period_s=60,
        )
        self.unstopped = UnstoppedWatch(self.stopper, engine_watch=self.watch, clock=clock)


async def test_a_slow_step_is_named_for_as_long_as_it_lasts() -> None:
    lab = Lab(PromptState.RUNNING)
    await lab.stopper.stop([ONE], patience_s=600)
    await lab.unstopped.look()
    reason = lab.unstopped.reason
    assert reason is not None
    assert reason.startswith(
        "waiting for ComfyUI to finish the step that it was asked to stop, since 20"
    )
    await lab.unstopped.look()
    assert (lab.unstopped.ok, lab.unstopped.reason) == (False, reason)
    lab.engine.states[ONE] = PromptState.ENDED
    await lab.unstopped.look()
    assert (lab.unstopped.ok, lab.unstopped.reason) == (True, None)


async def test_a_comfyui_that_falls_silent_meanwhile_is_away() -> None:
    lab = Lab(PromptState.RUNNING)
    await lab.watch.look()
    await lab.stopper.stop([ONE], patience_s=600)
    lab.engine.away = True
    await lab.unstopped.look()
    assert (lab.watch.ok, lab.unstopped.ok) == (False, False)


async def test_who_hangs_is_told_of_once_if_it_latches_the_worker() -> None:
    lab = Lab(PromptState.RUNNING, stop_s=0)
    await lab.stopper.stop([ONE], patience_s=0)
    reasons: list[str] = []

    def latch(reason: str) -> None:
        reasons.append(reason)
        lab.watch.latch(reason, healed=lab.unstopped.is_ok)
        lab.engine.states[ONE] = PromptState.ENDED  # it was only slow after all

    running = asyncio.ensure_future(lab.unstopped.run(latch))
    try:
        await until(lambda: lab.unstopped.ok)
    finally:
        running.cancel()
    assert reasons == ["ComfyUI did not stop within 0 s"]
    await lab.watch.look()
    assert (lab.watch.ok, lab.watch.latched, lab.watch.reason) == (True, False, None)


async def test_a_dead_thread_keeps_the_latch_though_comfyui_answers() -> None:
    lab = Lab(PromptState.RUNNING)
    await lab.stopper.stop([ONE], patience_s=0)
    lab.watch.latch("it hangs", healed=lab.unstopped.is_ok)
    for away in (False, True, False):
        lab.engine.away = away
        await lab.unstopped.look()
        await lab.watch.look()
        assert (lab.watch.ok, lab.watch.reason) == (False, "it hangs")
    lab.engine.states.clear()  # ComfyUI was restarted
    await lab.unstopped.look()
    await lab.watch.look()
    assert lab.watch.ok


async def test_a_broken_device_is_sound_again_in_another_process() -> None:
    lab = Lab(PromptState.ENDED)
    lab.watch.latch("the device failed", healed=lambda: lab.watch.has_lost([ONE]))
    for away in (False, True):
        lab.engine.away = away
        await lab.watch.look()
        assert (lab.watch.ok, lab.watch.reason) == (False, "the device failed")
    lab.engine.away = False
    lab.engine.states.clear()
    await lab.watch.look()
    assert (lab.watch.ok, lab.watch.latched) == (True, False)


async def test_an_answer_that_was_on_its_way_clears_no_latch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab, answered = Lab(PromptState.ENDED), asyncio.Event()
    info = lab.engine.info

    async def slow() -> EngineInfo:
        await answered.wait()
        return await info()

    async def never() -> bool:
        return False

    monkeypatch.setattr(lab.engine, "info", slow)
    looking = asyncio.ensure_future(lab.watch.look())
    await asyncio.sleep(0)
    lab.watch.latch("the device failed", healed=never)
    answered.set()
    await looking
    assert (lab.watch.ok, lab.watch.reason) == (False, "the device failed")
