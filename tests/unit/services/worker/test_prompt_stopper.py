import asyncio
from collections.abc import Callable

import pytest

from comfyq.ports.engine import (
    EngineError,
    EngineNotListening,
    EngineUnavailable,
    PromptId,
    PromptState,
)
from comfyq.services.worker.prompt_stopper import ASK_AGAIN_S, PromptStopper
from comfyq.services.worker.timing import Timing
from tests.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.anyio

ONE, TWO = PromptId("one"), PromptId("two")
TIMING = Timing(let_go_s=0, stop_s=15)


class SlowEngine(ScriptedEngine):
    """Goes on with what it is told to stop; ``raises`` instead of any answer."""

    def __init__(self) -> None:
        super().__init__()
        self.raises: EngineError | None = None
        self.states = {ONE: PromptState.RUNNING, TWO: PromptState.PENDING}

    async def cancel(self, prompt_id: PromptId) -> bool:
        if self.raises is not None:
            raise self.raises
        self.canceled.append(prompt_id)
        return False

    async def find(self, prompt_id: PromptId) -> PromptState:
        if self.raises is not None:
            raise self.raises
        return await super().find(prompt_id)


class Seconds:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def engine() -> SlowEngine:
    return SlowEngine()


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def stopper(engine: SlowEngine, seconds: Callable[[], float]) -> PromptStopper:
    return PromptStopper(engine, timing=TIMING, now=seconds)


async def test_what_stops_at_once_leaves_comfyui_free() -> None:
    engine = ScriptedEngine()
    engine.states = {ONE: PromptState.RUNNING}
    stopper = PromptStopper(engine, timing=Timing())
    assert await stopper.stop([ONE], patience_s=0)
    assert (stopper.free, stopper.hung, engine.canceled) == (True, None, [ONE])


async def test_a_slow_step_is_waited_out(
    stopper: PromptStopper, engine: SlowEngine, seconds: Seconds
) -> None:
    """For longer than ``stop_s``, if it may take so long."""
    assert not await stopper.stop([ONE], patience_s=60)
    seconds.now = 59
    await stopper.look()
    assert (stopper.free, stopper.hung) == (False, None)
    engine.states[ONE] = PromptState.ENDED
    await stopper.look()
    await stopper.wait_free()
    assert set(engine.canceled) == {ONE}


@pytest.mark.parametrize(("patience_s", "limit_s"), [(60, 60), (-5, 15)])
async def test_a_step_that_takes_too_long_hangs(
    patience_s: float, limit_s: float, stopper: PromptStopper, seconds: Seconds
) -> None:
    await stopper.stop([ONE], patience_s=patience_s)
    seconds.now = limit_s - 0.1
    await stopper.look()
    assert stopper.hung is None
    seconds.now = limit_s
    await stopper.look()
    assert stopper.hung == f"ComfyUI did not stop within {limit_s} s"


async def test_to_be_told_again_gives_no_more_time(
    stopper: PromptStopper, seconds: Seconds
) -> None:
    await stopper.stop([ONE], patience_s=60)
    seconds.now = 50
    await stopper.stop([ONE], patience_s=60)
    seconds.now = 60
    assert stopper.hung is not None


async def test_a_comfyui_that_hung_is_free_when_its_queue_is(
    stopper: PromptStopper, engine: SlowEngine, seconds: Seconds
) -> None:
    """A thread that is dead runs its prompt for ever, and only a restart ends that."""
    await stopper.stop([ONE, TWO], patience_s=0)
    seconds.now = 10_000
    await stopper.look()
    assert stopper.hung is not None
    engine.states[TWO] = PromptState.ABSENT  # deleted: it never ran
    await stopper.look()
    assert (stopper.free, bool(stopper.hung)) == (False, True)
    engine.states[ONE] = PromptState.ABSENT  # ComfyUI was restarted
    await stopper.look()
    assert stopper.free


async def test_silence_is_no_slow_step(
    stopper: PromptStopper, engine: SlowEngine, seconds: Seconds
) -> None:
    await stopper.stop([ONE], patience_s=600)
    engine.raises = EngineUnavailable("no answer")
    for now in (100.0, 114.0):
        seconds.now = now
        with pytest.raises(EngineUnavailable):
            await stopper.look()
        assert stopper.hung is None
    seconds.now = 115
    with pytest.raises(EngineUnavailable):
        await stopper.look()
    assert stopper.hung == "ComfyUI has not answered a request to stop a prompt for 15 s"
    engine.raises = None
    await stopper.look()
    assert (stopper.free, stopper.hung or "") == (False, "")


async def test_a_process_that_has_ended_does_not_hang(
    stopper: PromptStopper, engine: SlowEngine, seconds: Seconds
) -> None:
    """Whoever starts it again must not be disturbed while it comes up."""
    await stopper.stop([ONE], patience_s=60)
    engine.raises = EngineNotListening("refused")
    for now in (30.0, 300.0):
        seconds.now = now
        with pytest.raises(EngineNotListening):
            await stopper.look()
        assert (stopper.free, stopper.hung) == (False, None)


async def test_who_could_not_be_told_is_told_later(
    stopper: PromptStopper, engine: SlowEngine
) -> None:
    engine.raises = EngineUnavailable("no answer")
    assert not await stopper.stop([ONE], patience_s=0)
    assert (stopper.free, engine.canceled) == (False, [])
    engine.raises = None
    await stopper.look()
    assert engine.canceled == [ONE]


async def test_a_killed_comfyui_runs_nothing(stopper: PromptStopper, seconds: Seconds) -> None:
    await stopper.stop([ONE], patience_s=0)
    seconds.now = 20
    stopper.forget()
    assert (stopper.free, stopper.hung) == (True, None)


async def test_a_request_that_comfyui_dropped_is_made_again(
    stopper: PromptStopper, engine: SlowEngine, seconds: Seconds
) -> None:
    await stopper.stop([ONE], patience_s=60)
    seconds.now = ASK_AGAIN_S - 1
    await stopper.look()
    assert engine.canceled == [ONE]
    seconds.now = ASK_AGAIN_S
    await stopper.look()
    assert engine.canceled == [ONE, ONE]


async def test_a_prompt_that_cannot_be_stopped_does_not_hide_the_others(
    stopper: PromptStopper, engine: SlowEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(prompt_id: PromptId) -> None:
        if prompt_id == ONE:
            raise EngineError("this ComfyUI stops no single prompt")

    monkeypatch.setattr(engine, "cancel", refused)
    engine.states[TWO] = PromptState.ENDED
    await stopper.stop([ONE, TWO], patience_s=60)
    engine.states[ONE] = PromptState.ENDED
    with pytest.raises(EngineError):
        await stopper.look()
    assert stopper.free


async def test_all_prompts_are_stopped_at_once(stopper: PromptStopper, engine: SlowEngine) -> None:
    """However long ComfyUI takes to answer, many prompts take no longer than one."""
    prompts = [PromptId(str(number)) for number in range(20)]
    engine.states = dict.fromkeys(prompts, PromptState.RUNNING)
    await stopper.stop(prompts, patience_s=60)
    waiting = 0
    all_wait = asyncio.Event()

    async def answer_together(prompt_id: PromptId) -> PromptState:
        nonlocal waiting
        waiting += 1
        if waiting == len(prompts):
            all_wait.set()
        await all_wait.wait()
        return PromptState.ENDED

    engine.find = answer_together  # type: ignore[method-assign]
    async with asyncio.timeout(10):
        await stopper.look()
    assert stopper.free


async def test_what_a_cancel_shows_to_be_out_is_not_asked_for_again() -> None:
    engine = ScriptedEngine()
    engine.states = {ONE: PromptState.RUNNING}
    engine.find = None  # type: ignore[assignment]
    assert await PromptStopper(engine, timing=Timing()).stop([ONE], patience_s=0)
