"""One plain test for each hazard that a job's life has met."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.errors import IllegalTransition, LeaseHeld, LeaseLost
from comfyq.domain.job import Job, JobError, JobId, JobStatus, Limits, WorkerId
from comfyq.domain.job.attempt import attempt_ended
from comfyq.ports.table import MAX_ITEM_BYTES, check_item
from comfyq.records.job_items import to_item

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TTL = timedelta(seconds=60)
LATER = NOW + TTL * 2
W1, W2 = WorkerId("w1"), WorkerId("w2")
BAD = JobError("node-error", "bad")


def waiting(limits: Limits | None = None) -> Job:
    return jobs.submitted(
        id=JobId("j"), tenant=DEFAULT_TENANT, workflow="w", created_at=NOW, limits=limits
    )


def claimed(job: Job | None = None) -> Job:
    return jobs.claim(job or waiting(), worker=W1, now=NOW, ttl=TTL)


def running(job: Job | None = None) -> Job:
    held = claimed(job)
    return jobs.start(held, token=held.attempt, now=NOW)


def test_a_claimed_job_is_queued_until_comfyui_starts_it() -> None:
    assert claimed().status is JobStatus.QUEUED
    assert running().status is JobStatus.RUNNING


def test_a_live_lease_keeps_others_away() -> None:
    with pytest.raises(LeaseHeld) as held:
        jobs.claim(running(), worker=W2, now=NOW, ttl=TTL)
    assert held.value.until == NOW + TTL


def test_a_restarted_worker_retakes_its_own_lease_at_once() -> None:
    again = jobs.claim(running(), worker=W1, now=NOW, ttl=TTL)
    assert (again.attempt, again.unsettled, again.failures) == (2, True, 0)


def test_a_zombie_changes_nothing() -> None:
    taken = jobs.claim(running(), worker=W2, now=LATER, ttl=TTL)
    with pytest.raises(LeaseLost):
        jobs.succeed(taken, token=1, now=LATER)
    with pytest.raises(LeaseLost):
        jobs.renew(taken, token=1, now=LATER, ttl=TTL)
    with pytest.raises(LeaseLost):
        jobs.fail(taken, token=1, now=LATER, error=BAD, retry_in=None)


def test_a_job_that_kills_its_worker_each_time_fails_after_three_failures() -> None:
    job = waiting()
    for failures in (1, 2):
        job = running(job)
        job = jobs.claim(job, worker=W1, now=NOW, ttl=TTL)
        job = jobs.forfeit(job, token=job.attempt, now=NOW, reason="its worker died")
        assert job.failures == failures
    job = jobs.start(job, token=job.attempt, now=NOW)
    job = jobs.claim(job, worker=W1, now=NOW, ttl=TTL)
    job = jobs.forfeit(job, token=job.attempt, now=NOW, reason="its worker died")
    assert (job.status, job.failures) == (JobStatus.FAILED, 3)


def released(job: Job) -> Job:
    return jobs.release(running(job), token=job.attempt + 1, now=NOW, reason="no answer")


def test_three_losses_that_are_proven_later_end_a_waiting_job() -> None:
    job = waiting()
    for failures in (1, 2):
        job = jobs.count_loss(released(job), now=NOW, reason="restarted")
        assert (job.status, job.failures) == (JobStatus.QUEUED, failures)
    ended = jobs.count_loss(released(job), now=NOW, reason="restarted")
    assert (ended.status, ended.error) == (
        JobStatus.FAILED,
        JobError(jobs.ENGINE_LOST, "restarted"),
    )
    with pytest.raises(IllegalTransition):
        jobs.count_loss(ended, now=NOW, reason="restarted")


def test_a_loss_that_is_proven_late_leaves_a_later_attempt_its_chance() -> None:
    job = running(replace(released(waiting()), failures=2))
    counted = jobs.count_loss(job, now=NOW, reason="restarted")
    assert (counted.status, counted.failures) == (JobStatus.RUNNING, 2)
    assert jobs.succeed(counted, token=2, now=NOW).error is None
    again = jobs.release(counted, token=2, now=NOW, reason="no answer")
    assert jobs.count_loss(again, now=NOW, reason="restarted").status is JobStatus.FAILED


def test_a_death_before_the_start_is_not_counted() -> None:
    taken = jobs.claim(claimed(), worker=W2, now=LATER, ttl=TTL)
    assert not taken.unsettled


def test_an_adopted_attempt_is_not_counted() -> None:
    again = jobs.claim(running(), worker=W1, now=NOW, ttl=TTL)
    assert jobs.start(again, token=2, now=NOW).failures == 0


def test_giving_back_for_ever_ends() -> None:
    job = waiting()
    for _ in range(jobs.MAX_CLAIMS):
        held = claimed(job)
        job = jobs.release(held, token=held.attempt, now=NOW, reason="drained")
    ended = claimed(job)
    assert ended.status is JobStatus.FAILED
    assert ended.error is not None
    assert ended.error.code == "too-many-attempts"
    assert ended.error.message == "claimed 20 times without a result; drained"


def given_up(job: Job) -> str:
    """Return the error of a job that was claimed too often."""
    ended = jobs.claim(replace(job, attempt=jobs.MAX_CLAIMS), worker=W2, now=LATER, ttl=TTL)
    assert ended.error is not None
    return ended.error.message.partition("; ")[2]


def test_the_last_reason_is_the_newest_of_failure_release_and_lapse() -> None:
    job = jobs.release(claimed(), token=1, now=NOW, reason="drained")
    assert given_up(job) == "drained"
    held = claimed(job)
    assert given_up(held) == "the lease of worker w1 lapsed"
    assert given_up(jobs.evict(held, worker=W1, now=NOW)) == "worker w1 is gone"
    failed = jobs.fail(held, token=2, now=NOW, error=BAD, retry_in=timedelta(0))
    assert given_up(failed) == BAD.message
    assert given_up(waiting()) == ""


def test_the_same_defect_twice_is_the_last_and_another_one_is_not() -> None:
    pause = timedelta(0)
    job = jobs.crash(running(), token=1, now=NOW, cause="a", retry_in=pause)
    assert (job.status, job.failures) == (JobStatus.QUEUED, 1)
    other = jobs.crash(claimed(job), token=2, now=LATER, cause="b", retry_in=pause)
    assert (other.status, other.failures) == (JobStatus.QUEUED, 2)
    again = jobs.crash(claimed(job), token=2, now=LATER, cause="a", retry_in=pause)
    assert (again.status, again.error) == (JobStatus.FAILED, JobError("internal", "a"))


@pytest.mark.parametrize("text", ["x" * 500_000, "\ud800" * 10])
def test_what_is_told_of_an_end_has_room_in_an_item(text: str) -> None:
    error = JobError("invalid-graph", text, node=text, details=(text,) * 1_000)
    job = jobs.fail(running(), token=1, now=NOW, error=error, retry_in=None)
    assert check_item(to_item(job, write_id="w")) < MAX_ITEM_BYTES
    released = jobs.release(running(), token=1, now=NOW, reason=text)
    assert check_item(to_item(released, write_id="w")) < MAX_ITEM_BYTES


@pytest.mark.parametrize("verb", ["succeed", "fail", "release", "forfeit"])
def test_a_job_whose_cancel_was_requested_ends_canceled(verb: str) -> None:
    job = jobs.request_cancel(running(), now=NOW)
    if verb == "succeed":
        job = jobs.succeed(job, token=1, now=NOW)
    elif verb == "fail":
        job = jobs.fail(job, token=1, now=NOW, error=BAD, retry_in=timedelta(0))
    elif verb == "release":
        job = jobs.release(job, token=1, now=NOW, reason="drained")
    else:
        job = jobs.claim(job, worker=W2, now=LATER, ttl=TTL)
    assert job.status is JobStatus.CANCELED
    assert job.error is None


def test_canceling_what_has_ended_changes_nothing() -> None:
    ended = jobs.succeed(running(), token=1, now=NOW)
    assert jobs.request_cancel(ended, now=NOW) is ended
    asked = jobs.request_cancel(running(), now=NOW)
    assert jobs.request_cancel(asked, now=NOW) is asked


def test_a_retry_waits_for_its_time() -> None:
    job = jobs.fail(running(), token=1, now=NOW, error=BAD, retry_in=TTL)
    with pytest.raises(LeaseHeld) as held:
        jobs.claim(job, worker=W2, now=NOW, ttl=TTL)
    assert held.value.until == NOW + TTL
    assert jobs.claim(job, worker=W2, now=LATER, ttl=TTL).attempt == 2


def test_heartbeats_do_not_move_the_deadline_index() -> None:
    job = running()
    assert jobs.renew(job, token=1, now=NOW + TTL / 2, ttl=TTL).due_at == job.due_at


def test_the_reaper_moves_the_deadline_of_a_renewed_lease() -> None:
    job = jobs.renew(running(), token=1, now=NOW + TTL / 2, ttl=TTL)
    looked = jobs.reap(job, now=NOW + TTL)
    assert looked.due_at > job.due_at
    assert looked.lease == job.lease


def test_the_reaper_frees_a_lapsed_lease() -> None:
    freed = jobs.reap(running(), now=LATER)
    assert (freed.status, freed.lease, freed.rung_at) == (JobStatus.QUEUED, None, None)
    assert freed.started_attempt == 1, "what ComfyUI still runs can be adopted"


def test_what_never_started_in_time_expires_and_what_started_does_not() -> None:
    limits = Limits(queue_timeout_s=30)
    late = NOW + timedelta(seconds=31)
    assert jobs.reap(waiting(limits=limits), now=late).status is JobStatus.EXPIRED
    begun = jobs.release(running(waiting(limits=limits)), token=1, now=NOW, reason="drained")
    assert jobs.reap(begun, now=late).status is JobStatus.QUEUED
    for_ever = late + timedelta(seconds=begun.limits.run_timeout_s)
    assert jobs.reap(begun, now=for_ever).status is JobStatus.FAILED


def test_the_reaper_ends_an_overdue_run_even_under_a_live_lease() -> None:
    job = running(waiting(limits=Limits(run_timeout_s=10)))
    late = NOW + timedelta(seconds=10) + jobs.DEADLINE_SLACK
    ended = jobs.reap(job, now=late)
    assert ended.status is JobStatus.FAILED
    assert ended.error is not None
    assert ended.error.code == "deadline"


def test_only_the_dead_workers_lease_is_ended() -> None:
    with pytest.raises(LeaseLost):
        jobs.evict(running(), worker=W2, now=NOW)
    assert jobs.evict(running(), worker=W1, now=NOW).lease is None


def test_an_end_is_announced_once() -> None:
    ended = jobs.succeed(running(), token=1, now=NOW)
    announced = jobs.announced(ended, now=NOW, retention=TTL)
    assert (announced.end_pending, announced.due_at) == (False, NOW + TTL)
    with pytest.raises(IllegalTransition):
        jobs.announced(announced, now=NOW, retention=TTL)


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (lambda job: jobs.succeed(job, token=1, now=LATER), "succeeded"),
        (lambda job: jobs.release(job, token=1, now=LATER, reason="drained"), "released"),
        (lambda job: jobs.fail(job, token=1, now=LATER, error=BAD, retry_in=TTL), "failed"),
        (lambda job: jobs.claim(job, worker=W2, now=LATER, ttl=TTL), "lost"),
        (lambda job: jobs.evict(job, worker=W1, now=LATER), "lost"),
    ],
    ids=["success", "release", "failure", "takeover", "eviction"],
)
def test_the_end_of_an_attempt_is_told(change: object, verdict: str) -> None:
    before = running()
    attempt = attempt_ended(before, change(before), now=LATER)  # type: ignore[operator]
    assert attempt is not None
    assert (attempt.number, attempt.worker, attempt.verdict) == (1, W1, verdict)
    assert attempt.started_at == NOW


def test_a_heartbeat_ends_no_attempt() -> None:
    before = running()
    assert attempt_ended(before, jobs.renew(before, token=1, now=NOW, ttl=TTL), now=NOW) is None


def test_a_job_that_was_given_back_is_rung_again_once_and_then_hourly() -> None:
    """Nobody may be able to claim it, and a doorbell a second would pile up."""
    given_back = jobs.release(running(), token=1, now=NOW, reason="away", retry_in=TTL)
    assert given_back.due_at == NOW + TTL + jobs.RING_AFTER
    rung = jobs.ring(given_back, now=given_back.due_at)
    assert rung.due_at == given_back.due_at + jobs.RING_AGAIN


def test_the_pauses_between_the_doorbells_of_a_waiting_job_grow() -> None:
    """Each is a message more in a queue that may have the former ones still."""
    job = jobs.ring(waiting(), now=NOW)
    pauses = []
    for _ in range(6):
        pauses.append(job.due_at - (job.rung_at or NOW))
        job = jobs.ring(job, now=job.due_at)
    hour = jobs.RING_AGAIN
    assert pauses == [hour, hour, 2 * hour, 4 * hour, 4 * hour, 4 * hour]
