"""Requests through a queue: jobs under the letters' ids, refusals that say why, redrives."""

import json
from dataclasses import replace
from functools import partial
from uuid import uuid4

import pytest

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.domain.caller import DEFAULT_TENANT, Caller, Scope, TenantId
from comfyq.domain.dead_letter import RedriveOutcome
from comfyq.domain.errors import JobNotFound, TableUnavailable, WorkflowNotFound
from comfyq.domain.job import JobError, JobId
from comfyq.domain.workflow.workflow import Workflow
from comfyq.ports.inbox import Message
from comfyq.ports.workflows import Workflows
from tests.api_lab import WORKFLOWS, ApiLab

pytestmark = pytest.mark.anyio


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


def letter(body: object = None, **attributes: str) -> Message:
    """One that can be run, unless ``body`` says otherwise."""
    asked = {"prompt": "a fox"} if body is None else body
    return Message(str(uuid4()), asked if isinstance(asked, str) else json.dumps(asked), attributes)


async def test_a_message_becomes_a_job_under_its_id(lab: ApiLab) -> None:
    sent = letter({"prompt": "a fox", "seed": 7})
    assert await lab.intake.take(OWNER, sent) is RedriveOutcome.ACCEPTED
    shown = lab.show(sent.id)
    assert (shown["id"], shown["status"]) == (sent.id, "queued")
    assert (await lab.records.spec(JobId(sent.id))).parameters["seed"] == 7
    delivery = await lab.queue.receive(wait_s=0)
    assert delivery is not None
    assert delivery.job_id == sent.id
    assert lab.client.get("/dead").json()["letters"] == []


async def test_a_message_that_comes_twice_is_one_job(lab: ApiLab) -> None:
    sent = letter()
    await lab.intake.take(OWNER, sent)
    await lab.succeed(sent.id)
    assert await lab.intake.take(OWNER, sent) is RedriveOutcome.HEARD
    assert lab.show(sent.id)["status"] == "completed"


@pytest.mark.parametrize("attributes", [{}, {"idempotency_key": "k"}])
async def test_a_message_that_comes_again_does_not_make_a_deleted_job_anew(
    lab: ApiLab, attributes: dict[str, str]
) -> None:
    message = letter(**attributes)
    await lab.intake.take(OWNER, message)
    lab.client.delete(f"/generate/{message.id}?purge=true")
    for days in (0, 14):
        lab.clock.advance(days * 86_400)
        assert await lab.intake.take(OWNER, message) is RedriveOutcome.HEARD
    assert lab.client.get("/generate").json()["jobs"] == []
    assert lab.client.get("/dead").json()["letters"] == []


async def test_a_message_with_requests_becomes_a_batch_under_its_id(lab: ApiLab) -> None:
    sent = letter({"requests": [{"prompt": "a fox"}, {}, {"prompt": "an owl"}]})
    for _ in range(2):
        assert await lab.intake.take(OWNER, sent) is RedriveOutcome.ACCEPTED
    url = f"/generate/batch/{sent.id}"
    shown = lab.client.get(url, params={"items": "true"}).json()
    assert (shown["counts"]["queued"], shown["counts"]["refused"]) == (2, 1)
    ids = {item["job"]["id"] for item in shown["items"] if item["job"]}
    assert {job["id"] for job in lab.client.get("/generate").json()["jobs"]} == ids
    assert sorted(message.job_id for message in lab.queue.messages) == sorted(ids)
    for job_id in ids:
        assert (await lab.records.get(JobId(job_id))).rung_at is not None
    assert lab.client.get("/dead").json()["letters"] == []


@pytest.mark.parametrize("requests", [[], [{}], [{"prompt": 5}, 3], [{"prompt": "a"}] * 501])
async def test_a_batch_of_which_nothing_can_run_is_a_failed_job(
    lab: ApiLab, requests: list[object]
) -> None:
    sent = letter({"requests": requests})
    assert await lab.intake.take(OWNER, sent) is RedriveOutcome.REFUSED
    assert lab.show(sent.id)["status"] == "failed"
    assert lab.client.get(f"/generate/batch/{sent.id}").status_code == 404
    assert len(lab.client.get("/dead").json()["letters"]) == 1


async def test_a_batchs_message_that_comes_again_after_its_key_is_forgotten_makes_nothing(
    lab: ApiLab,
) -> None:
    sent = letter({"requests": [{"prompt": "a fox"}]})
    await lab.intake.take(OWNER, sent)
    lab.clock.advance(90_000)
    assert await lab.intake.take(OWNER, sent) is RedriveOutcome.HEARD
    assert len(lab.client.get("/generate").json()["jobs"]) == 1


async def test_a_senders_retry_is_the_first_job_under_both_ids(lab: ApiLab) -> None:
    first, again = letter(idempotency_key="k1"), letter(idempotency_key="k1")
    for sent in (first, again):
        assert await lab.intake.take(OWNER, sent) is RedriveOutcome.ACCEPTED
    listed = lab.client.get("/generate").json()["jobs"]
    assert [job["id"] for job in listed] == [first.id]
    assert lab.show(again.id)["id"] == first.id
    assert lab.client.delete(f"/generate/{again.id}").json()["status"] == "canceled"
    assert lab.show(first.id)["status"] == "canceled"


async def test_a_key_used_for_something_else_is_refused(lab: ApiLab) -> None:
    await lab.intake.take(OWNER, letter(idempotency_key="k1"))
    other = letter({"prompt": "an owl"}, idempotency_key="k1")
    assert await lab.intake.take(OWNER, other) is RedriveOutcome.REFUSED
    assert lab.show(other.id)["error_code"] == "idempotency-mismatch"


@pytest.mark.parametrize("body", [{}, {"prompt": 5}, {"prompt": 5, "workflow": "flux-dev.json"}])
async def test_a_refused_job_has_its_workflow_by_its_own_name(lab: ApiLab, body: object) -> None:
    sent = letter(body)
    assert await lab.intake.take(OWNER, sent) is RedriveOutcome.REFUSED
    assert lab.show(sent.id)["workflow"] == "flux-dev"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("no json", "invalid-request"),
        ("[" * 5_000, "invalid-request"),
        ("[]", "invalid-request"),
        ({"prompt": 5}, "invalid-parameters"),
        ({"prompt": "a fox", "tenant": "somebody-else"}, "invalid-parameters"),
        ({"prompt": "a fox", "workflow": "nowhere"}, "workflow-not-found"),
        ({"graph": {"nodes": []}}, "invalid-graph"),
        ({"input": {"workflow": {"1": {"class_type": "A"}}}}, "invalid-graph"),
    ],
)
async def test_a_bad_message_is_a_failed_job_and_stays_readable(
    lab: ApiLab, body: object, code: str
) -> None:
    sent = letter(body)
    assert await lab.intake.take(OWNER, sent) is RedriveOutcome.REFUSED
    assert await lab.intake.take(OWNER, sent) is not RedriveOutcome.ACCEPTED
    shown = lab.show(sent.id)
    assert (shown["status"], shown["error_code"]) == ("failed", code)
    assert shown["error"]
    kept = lab.client.get(f"/dead/{sent.id}").json()
    assert (kept["body"], kept["origin"]) == (sent.body, "submissions")
    assert kept["reason"] == shown["error"]
    assert await lab.queue.receive(wait_s=0) is None


@pytest.mark.parametrize("key", ["", "k" * 256, "a\nb"])
async def test_a_key_that_cannot_be_kept_is_refused(lab: ApiLab, key: str) -> None:
    sent = letter(idempotency_key=key)
    assert await lab.intake.take(OWNER, sent) is RedriveOutcome.REFUSED
    assert "idempotency_key" in lab.show(sent.id)["error"]


async def test_the_tenant_is_the_queues(lab: ApiLab) -> None:
    studio = Caller(TenantId("studio"), frozenset({Scope.SUBMIT}))
    sent, bad = letter(), letter("garbage")
    await lab.intake.take(studio, sent)
    await lab.intake.take(studio, bad)
    for job_id in (sent.id, bad.id):
        assert (await lab.records.get(JobId(job_id))).tenant == "studio"
        assert lab.client.get(f"/generate/{job_id}").status_code == 404
    listed = lab.client.get("/dead?tenant=studio").json()["letters"]
    assert [each["id"] for each in listed] == [bad.id]
    assert lab.client.get("/dead").json()["letters"] == []


async def test_a_queue_whose_caller_may_not_submit_makes_failed_jobs(lab: ApiLab) -> None:
    sent = letter()
    reader = Caller(DEFAULT_TENANT, frozenset({Scope.READ}))
    assert await lab.intake.take(reader, sent) is RedriveOutcome.REFUSED
    shown = lab.show(sent.id)
    assert (shown["status"], shown["error_code"]) == ("failed", "missing-scope")
    # an administrator may still send it again
    assert lab.client.post(f"/dead/{sent.id}/redrive").json()["outcome"] == "accepted"
    assert lab.show(sent.id)["status"] == "queued"


async def test_a_rate_limit_refuses_nothing_that_a_queue_took() -> None:
    lab = ApiLab(COMFYQ_REQUESTS_PER_MINUTE=1)
    for _ in range(3):
        assert await lab.intake.take(OWNER, letter()) is RedriveOutcome.ACCEPTED


async def test_what_is_over_the_limit_on_waiting_jobs_fails_and_can_be_sent_again() -> None:
    lab = ApiLab(COMFYQ_WAITING_JOBS=1)
    first, second = letter(), letter()
    assert await lab.intake.take(OWNER, first) is RedriveOutcome.ACCEPTED
    assert await lab.intake.take(OWNER, second) is RedriveOutcome.REFUSED
    shown = lab.show(second.id)
    assert (shown["status"], shown["error_code"]) == ("failed", "too-many-waiting")
    lab.services.submission_limits.waiting._counts.clear()  # a while has passed
    lab.client.delete(f"/generate/{first.id}")
    assert lab.client.post(f"/dead/{second.id}/redrive").json()["outcome"] == "accepted"
    assert lab.show(second.id)["status"] == "queued"


async def test_a_table_that_is_away_leaves_the_message_to_come_again(lab: ApiLab) -> None:
    sent = letter("garbage")
    lab.table.faults_before.append(TableUnavailable("down"))
    with pytest.raises(TableUnavailable):
        await lab.intake.take(OWNER, sent)
    with pytest.raises(JobNotFound):
        await lab.records.get(JobId(sent.id))
    assert await lab.intake.take(OWNER, sent) is RedriveOutcome.REFUSED


async def test_a_crash_between_message_and_job_is_made_good(lab: ApiLab) -> None:
    sent = letter("garbage")
    lab.table.faults_after.append(TableUnavailable("cut off"))  # the letter is kept, the job is not
    with pytest.raises(TableUnavailable):
        await lab.intake.take(OWNER, sent)
    assert await lab.intake.take(OWNER, sent) is RedriveOutcome.REFUSED
    assert lab.show(sent.id)["status"] == "failed"


class NoWorkflows:
    """The workflows of a deployment before somebody adds one."""

    def __init__(self, real: Workflows) -> None:
        self.names = real.names
        self.faults = real.faults

    def get(self, name: str) -> Workflow:
        raise WorkflowNotFound(f"there is no workflow {name!r}")


async def test_a_redriven_message_runs_under_its_first_id(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab.admission, "_workflows", NoWorkflows(WORKFLOWS))
    sent = letter()
    await lab.intake.take(OWNER, sent)
    refused = await lab.records.get(JobId(sent.id))
    assert refused.status == "failed"
    again = lab.client.post(f"/dead/{sent.id}/redrive").json()
    assert (again["outcome"], again["letter"]["redrives"]) == ("refused", 1)
    monkeypatch.undo()
    assert lab.client.post(f"/dead/{sent.id}/redrive").json()["outcome"] == "accepted"
    job = await lab.records.get(JobId(sent.id))
    assert job.status == "queued"
    assert job.version > refused.version  # who follows it takes the newer one
    await lab.succeed(sent.id)
    assert lab.client.post(f"/dead/{sent.id}/redrive").json()["outcome"] == "heard"
    assert lab.show(sent.id)["status"] == "completed"


async def test_a_message_that_its_queue_gave_up_on_is_taken_for_the_last_time(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = letter(), letter("garbage")
    keep = partial(lab.dead_letters.keep_submission, OWNER)
    assert await keep(good) is RedriveOutcome.ACCEPTED
    assert await keep(bad) is RedriveOutcome.REFUSED
    kept = lab.client.get("/dead").json()["letters"]
    assert {each["id"] for each in kept} == {good.id, bad.id}

    async def defect(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(lab.submission, "submit", defect)
    poison = letter()
    assert await keep(poison) is RedriveOutcome.REFUSED
    assert lab.show(poison.id)["error_code"] == "internal-error"
    monkeypatch.undo()
    assert (await lab.dead_letters.redrive(OWNER, poison.id))[1] is RedriveOutcome.ACCEPTED


async def test_a_real_job_of_that_id_is_never_replaced(lab: ApiLab) -> None:
    sent = letter("garbage")
    job_id = lab.submit()["id"]
    await lab.fail(job_id, JobError("node-error", "boom"))
    outcome = await lab.intake.take(OWNER, replace(sent, id=job_id))
    assert outcome is RedriveOutcome.HEARD
    assert lab.client.post(f"/dead/{job_id}/redrive").json()["outcome"] == "heard"
