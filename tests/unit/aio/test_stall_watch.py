"""Stalls of an event loop are counted and logged with the code that caused them."""

import time

import anyio
import pytest

from comfyq.aio.stall_watch import StallWatch
from tests.api_lab import ApiLab
from tests.log_lines import logged

pytestmark = pytest.mark.anyio

SHORT_S = 0.01


def block_the_loop() -> None:
    time.sleep(10 * SHORT_S)


def hold_the_interpreter() -> None:
    ended_s = time.monotonic() + 10 * SHORT_S
    while time.monotonic() < ended_s:
        sum(range(100_000))  # one call into C, which lets no other thread run


@pytest.mark.parametrize("culprit", [block_the_loop, hold_the_interpreter])
async def test_a_stall_is_logged_with_its_stack(culprit: type[object]) -> None:
    watch = StallWatch(stall_s=SHORT_S, period_s=SHORT_S / 2)
    with logged() as lines, watch.watching(), anyio.fail_after(10):
        while not any(culprit.__name__ in line["stack"] for line in lines):
            culprit()
            await anyio.sleep(SHORT_S)
    assert watch.count == len(lines)
    assert lines[-1]["event"] == "loop_stalled"
    assert lines[-1]["seconds"] >= SHORT_S
    assert "\n" not in lines[-1]["stack"]


async def test_a_loop_that_answers_is_left_alone() -> None:
    watch = StallWatch(stall_s=60, period_s=SHORT_S / 10)
    with watch.watching():
        await anyio.sleep(SHORT_S)
    assert watch.count == 0


async def test_a_loop_that_waits_for_events_is_not_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    watch = StallWatch(stall_s=60, period_s=SHORT_S / 10)
    monkeypatch.setattr(watch, "_ask", lambda *about: asked.append(time.monotonic()))
    with watch.watching():
        await anyio.sleep(5 * SHORT_S)
        idle = len(asked)
        block_the_loop()
    busy = len(asked) - idle
    assert idle < busy


async def test_a_watch_ends_though_the_loop_has_no_time_to_answer_it() -> None:
    watch = StallWatch(stall_s=60, period_s=SHORT_S / 10)
    with watch.watching():
        block_the_loop()  # it has asked; the exit does not wait for the answer
    assert watch.count == 0


async def test_the_count_is_shown() -> None:
    lab = ApiLab()
    lab.services.stall_watch.count = 7
    assert lab.client.get("/health").json()["stalls"] == 7
