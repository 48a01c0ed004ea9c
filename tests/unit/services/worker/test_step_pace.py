from comfyq.domain.job.progress import Advance
from comfyq.ports.engine import Started
from comfyq.services.worker.step_pace import TIMES_THE_SLOWEST, StepPace

STALL_S = 300.0


def sampled(*steps: tuple[int, float]) -> StepPace:
    """Started at 0 s, sampling of 20 steps from 1 s on, each step at its time."""
    pace = StepPace()
    pace.note(Started(), now=0)
    pace.note(Advance("3"), now=1)
    for step, now in steps:
        pace.note(Advance("3", step=step, max_steps=20), now=now)
    return pace


def test_a_step_may_be_slower_than_the_slowest_before_it() -> None:
    pace = sampled((1, 21), (2, 31), (3, 41))
    assert pace.left_s(now=41, stall_s=STALL_S) == TIMES_THE_SLOWEST * 20
    assert pace.left_s(now=101, stall_s=STALL_S) == 0


def test_a_node_without_steps_may_take_what_its_workflow_allows() -> None:
    assert StepPace().left_s(now=5, stall_s=STALL_S) == STALL_S
    assert sampled().left_s(now=5, stall_s=STALL_S) == STALL_S - 4
    begun = StepPace()
    begun.note(Started(), now=2)
    assert begun.left_s(now=5, stall_s=STALL_S) == STALL_S - 3


def test_what_follows_the_last_step_has_no_pace() -> None:
    assert sampled((19, 2), (20, 3)).left_s(now=3, stall_s=STALL_S) == STALL_S


def test_the_next_node_has_a_pace_of_its_own() -> None:
    pace = sampled((1, 2), (2, 3))
    pace.note(Advance("8"), now=4)
    assert pace.left_s(now=4, stall_s=STALL_S) == STALL_S


def test_a_report_that_comes_again_is_no_step() -> None:
    pace = sampled((1, 3))
    pace.note(Advance("3", step=1, max_steps=20), now=50)
    pace.note(Advance("2", done=True), now=51)
    assert pace.left_s(now=9, stall_s=STALL_S) == 0


def test_no_step_may_take_longer_than_its_workflow_allows() -> None:
    assert sampled((1, 201)).left_s(now=201, stall_s=STALL_S) == STALL_S
    assert sampled((1, 21)).left_s(now=51, stall_s=10) < 0  # it has stalled


def test_another_pass_of_the_same_node_is_progress() -> None:
    pace = sampled((1, 2), (2, 3), (20, 21))
    pace.note(Advance("3", step=1, max_steps=20), now=200)
    assert pace.left_s(now=200, stall_s=STALL_S) == TIMES_THE_SLOWEST * 18
