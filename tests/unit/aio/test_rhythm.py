"""Background tasks of a process pause until the same beats."""

import time

import pytest

from comfyq.aio import rhythm
from comfyq.aio.rhythm import until_beat_s


@pytest.mark.parametrize("now_s", [0.0, 3.7, 5.1, 1232.1])
def test_tasks_that_begin_apart_end_their_pauses_together(
    now_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rhythm, "PHASE_S", 0.3)

    def next_beat_s(began_s: float, period_s: float) -> float:
        monkeypatch.setattr(time, "monotonic", lambda: began_s)
        return began_s + until_beat_s(period_s)

    first = next_beat_s(now_s, 5)
    assert now_s < first <= now_s + 5
    assert next_beat_s((now_s + first) / 2, 5) == pytest.approx(first)
    assert next_beat_s(first - 0.5, 2.5) == pytest.approx(first)


def test_a_pause_that_ended_early_is_not_followed_by_another_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rhythm, "PHASE_S", 0.0)
    monkeypatch.setattr(time, "monotonic", lambda: 9.999)
    assert until_beat_s(5) == pytest.approx(5.001)


def test_no_period_is_no_pause() -> None:
    assert until_beat_s(0) == 0
