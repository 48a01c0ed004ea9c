"""Properties of the pool's model, whatever the load."""

from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.scaling.loads import LOADS, jobs_of
from infra.scaling.model import Pool, Run, Work, World
from infra.scaling.plot import svg
from infra.scaling.policy import template_policy

POLICY = template_policy()
SPOT = World(spot_mean_s=600)

arrivals = st.lists(st.floats(0, 20_000), min_size=1, max_size=60)
durations = st.floats(1, 900)


@st.composite
def days(draw: st.DrawFn) -> list[Work]:
    return [Work(at, draw(durations)) for at in sorted(draw(arrivals))]


def play(jobs: list[Work], world: World, seed: int) -> Run:
    return Pool(POLICY, world, jobs, seed=seed).play()


def test_the_numbers_are_the_templates() -> None:
    assert (POLICY.period_s, POLICY.cooldown_s, POLICY.idle_periods) == (60, 600, 10)
    assert [POLICY.add(backlog) for backlog in (0, 1, 4, 5, 19, 20, 1_000)] == [0, 1, 1, 2, 2, 4, 4]
    assert POLICY.drain_s == 100


@settings(max_examples=60, deadline=None)
@given(days(), st.sampled_from([World(), SPOT]), st.integers(0, 2**32))
def test_no_job_is_lost_and_none_ends_twice(jobs: list[Work], world: World, seed: int) -> None:
    run = play(jobs, world, seed)
    assert len(run.jobs) == len(jobs)
    for job in run.jobs:
        assert job.ended_at is not None
        assert job.started_at is not None
        assert job.arrived_at <= job.started_at
        assert job.ended_at - job.started_at >= job.duration_s - 1e-6


@settings(max_examples=60, deadline=None)
@given(days(), st.integers(0, 2**32))
def test_a_busy_pool_never_shrinks(jobs: list[Work], seed: int) -> None:
    """It goes to zero or grows. What the metrics did not know of yet, protection keeps alive."""
    run, before = play(jobs, World(), seed), 0
    for at, desired, held in run.desired:
        assert desired >= before or desired == 0
        if desired < before:
            late = sum(at - 2 * POLICY.period_s <= job.arrived_at <= at for job in run.jobs)
            assert held <= late
        before = desired
    assert all(job.lost_s == 0 for job in run.jobs)


@settings(max_examples=60, deadline=None)
@given(days(), st.integers(0, 2**32))
def test_it_ends_at_zero(jobs: list[Work], seed: int) -> None:
    """At the latest ten minutes, and what metrics lag behind, after the last job."""
    run = play(jobs, World(), seed)
    [*_, (at, desired, _)] = run.desired
    last = max(job.ended_at or 0 for job in run.jobs)
    assert desired == 0
    assert at - last <= 600 + 3 * POLICY.period_s


def test_ten_minutes_are_ten_minutes() -> None:
    run = play([Work(10.0, 300.0)], World(), 1)
    [*_, (at, desired, _)] = run.desired
    assert desired == 0
    assert at - (run.jobs[0].ended_at or 0) >= 600


@settings(max_examples=60, deadline=None)
@given(days(), st.sampled_from([World(), SPOT]), st.integers(0, 2**32))
def test_there_are_never_too_many(jobs: list[Work], world: World, seed: int) -> None:
    run = play(jobs, world, seed)
    assert max(desired for _, desired, _ in run.desired) <= POLICY.max_workers
    assert run.node_s >= run.work_s - 1e-6


def test_a_lone_job_waits_for_one_boot() -> None:
    run = play([Work(10.0, 30.0)], World(boot_s=(200.0, 200.0)), 1)
    assert run.waits_s == [pytest.approx(2 * POLICY.period_s + 200 - 10)]
    assert [desired for _, desired, _ in run.desired] == [1, 0]


def test_a_job_that_outlasts_the_drain_begins_anew() -> None:
    run = play([Work(0.0, 500.0)], World(spot_mean_s=150), 3)
    assert run.lost_nodes > 0
    assert run.jobs[0].lost_s > 0
    assert run.jobs[0].ended_at is not None


def test_warm_instances_shorten_the_wait() -> None:
    cold = play(jobs_of(LOADS["bursts"], seed=1), World(), 1)
    warm = play(jobs_of(LOADS["bursts"], seed=1), World(boot_s=(60.0, 120.0)), 1)
    assert warm.waits_s[-1] < cold.waits_s[-1]


def test_a_plot_is_an_svg() -> None:
    run = play(jobs_of(LOADS["trickle"], seed=1), World(), 1)
    root = ElementTree.fromstring(svg("trickle", run.samples))
    assert root.tag.endswith("svg")
    assert len(root.findall("{*}polyline")) == 3
