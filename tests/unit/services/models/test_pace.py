"""The bound on how fast models are fetched, by a clock that the test moves."""

from comfyq.services.models.pace import Pace


def test_waits_make_the_rate() -> None:
    pace, now_s = Pace(1_000), 5.0
    for _ in range(100):  # the origin is as fast as it can be
        now_s += pace.delay_s(500, now_s=now_s)
    assert now_s == 5 + 50


def test_an_origin_that_is_slower_is_not_held_up_and_a_pause_is_not_made_up_for() -> None:
    pace = Pace(1_000)
    assert [pace.delay_s(500, now_s=float(now_s)) for now_s in range(1, 20)][1:] == [0.0] * 18
    delays = [pace.delay_s(500, now_s=1_000.0) for _ in range(4)]
    assert delays[:2] == [0, 0]  # a second's worth
    assert sum(delays) > 0
    assert Pace(None).delay_s(10**9, now_s=0) == 0
