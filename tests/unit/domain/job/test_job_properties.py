"""No order of claims, crashes, cancels and stale writes breaks the job's promises."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.errors import Conflict
from comfyq.domain.job import Job, JobError, JobId, JobStatus, WorkerId
from comfyq.domain.job.progress import Progress
from tests.effort import share

TTL = timedelta(seconds=60)
START = datetime(2026, 1, 1, tzinfo=UTC)
WORKERS = st.sampled_from([WorkerId("w1"), WorkerId("w2")])
VERBS: dict[str, Callable[..., Job]] = {
    "renew": jobs.renew,
    "start": jobs.start,
    "forfeit": jobs.forfeit,
    "advance": jobs.advance,
    "succeed": jobs.succeed,
    "fail": jobs.fail,
    "release": jobs.release,
    "confirm_cancel": jobs.confirm_cancel,
}
EXTRAS: dict[str, dict[str, Any]] = {
    "renew": {"ttl": TTL},
    "advance": {"ttl": TTL, "progress": Progress(0.5, 1, 2)},
    "forfeit": {"reason": "gone"},
    "release": {"reason": "drained"},
}


class JobLife(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.job = jobs.submitted(
            id=JobId("j"), tenant=DEFAULT_TENANT, workflow="w", created_at=START
        )
        self.history = [self.job]
        self.tokens: list[int] = []  # every token ever granted, live or superseded
        self.canceled_by_client = False

    def change(self, change: Callable[..., Job], **arguments: Any) -> Job:
        before = self.job
        try:
            after = change(before, now=self.now, **arguments)
        except Conflict:
            return before
        if after is not before:
            self.job = after
            self.history.append(after)
        return before

    @rule(elapsed=st.sampled_from([timedelta(seconds=1), TTL, TTL * 2, timedelta(days=1)]))
    def time_passes(self, elapsed: timedelta) -> None:
        self.now += elapsed

    @rule(worker=WORKERS)
    def claim(self, worker: WorkerId) -> None:
        lease = self.job.lease
        anothers = lease is not None and lease.worker != worker and self.now < lease.expires_at
        before = self.change(jobs.claim, worker=worker, ttl=TTL)
        if self.job is not before:
            assert not anothers, "two workers hold one job"
            self.tokens.append(self.job.attempt)

    @rule()
    def a_loss_is_counted(self) -> None:
        self.change(jobs.count_loss, reason="restarted")

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), verb=st.sampled_from(sorted(VERBS)))
    def a_worker_acts(self, data: st.DataObject, verb: str) -> None:
        token = data.draw(st.sampled_from(self.tokens))  # perhaps a superseded one
        extra = {"token": token, **EXTRAS.get(verb, {})}
        if verb == "fail":
            retry_in = data.draw(st.sampled_from([None, timedelta(0), TTL]))
            extra |= {"error": JobError("x", "x"), "retry_in": retry_in}
        before = self.change(VERBS[verb], **extra)
        if self.job is not before:
            assert token == before.attempt, "a superseded worker changed the job"

    @rule()
    def a_client_cancels(self) -> None:
        self.change(jobs.request_cancel)
        if not self.job.status.terminal:
            self.canceled_by_client = True

    @rule()
    def the_reaper_looks(self) -> None:
        self.change(jobs.reap)

    @rule(worker=WORKERS)
    def a_dead_worker_is_found(self, worker: WorkerId) -> None:
        self.change(jobs.evict, worker=worker)

    @rule()
    def the_queue_is_rung(self) -> None:
        self.change(jobs.ring)

    @invariant()
    def an_ended_job_never_changes(self) -> None:
        ends = [job for job in self.history if job.status.terminal]
        assert ends in ([], [self.history[-1]])

    @invariant()
    def a_running_job_has_a_lease_and_an_ended_one_has_none(self) -> None:
        if self.job.status is JobStatus.RUNNING:
            assert self.job.lease is not None
            assert self.job.started_attempt == self.job.attempt
        if self.job.status.terminal:
            assert self.job.lease is None
            assert self.job.ended_at is not None
            assert self.job.end_pending

    @invariant()
    def every_write_grows_the_version_by_one(self) -> None:
        assert [job.version for job in self.history] == list(range(1, len(self.history) + 1))

    @invariant()
    def claims_and_failures_are_bounded(self) -> None:
        assert self.job.attempt <= jobs.MAX_CLAIMS
        assert self.job.failures <= self.job.limits.max_attempts

    @invariant()
    def a_canceled_job_begins_nothing_and_ends_canceled(self) -> None:
        if self.canceled_by_client and self.job.status.terminal:
            assert self.job.status is JobStatus.CANCELED
        asked = [job for job in self.history if job.cancel_requested]
        assert all(job.attempt == asked[0].attempt for job in asked)

    @invariant()
    def the_reaper_is_never_without_a_date(self) -> None:
        far = self.now + jobs.RING_AGAIN + timedelta(days=1)
        assert self.job.due_at <= far

    @invariant()
    def only_an_expired_job_never_started_in_time(self) -> None:
        if self.job.status is JobStatus.EXPIRED:
            assert self.job.started_at is None


JobLife.TestCase.settings = settings(max_examples=share(1.5), stateful_step_count=20, deadline=None)
TestJobLife = JobLife.TestCase


def test_the_machine_reaches_every_status() -> None:
    """The rules above would prove little if the machine could not get anywhere."""
    ends = {status for status in JobStatus if status.terminal}
    reached = {to for (_, trigger), to in jobs.TRANSITIONS.items() if to.terminal}
    assert reached == ends
