"""Events of SQS and of the schedule, as AWS writes them, through the functions' handlers."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from comfyq.adapters.authentication.local_owner import LocalOwner
from comfyq.domain.caller import Caller, Scope, TenantId
from comfyq.domain.dead_letter import Origin
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import JobId
from comfyq.edges.intake.handler import IntakeHandler
from comfyq.edges.reaper.dead_letters import DeadLetterKeeper
from comfyq.edges.reaper.handler import ReaperHandler
from comfyq.ports.inbox import Message
from comfyq.wire.sqs import queue_of
from tests.api_lab import ApiLab
from tests.fake_authenticator import FakeAuthenticator
from tests.paths import DATA

pytestmark = pytest.mark.anyio

EVENTS = DATA / "sqs"
GOOD, BAD = "059f36b4-87a3-44ab-83d2-661975830a7d", "2e1424d4-f796-459a-8184-9c92662be6da"
DEAD = "19dd0b57-b21e-4ac1-bd88-01bbb068cb78"
DEAD_SUBMISSIONS = "comfyq-SubmissionsDeadLetters-1ABC"


def event(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


@pytest.fixture
def intake(lab: ApiLab) -> IntakeHandler:
    return IntakeHandler(intake=lab.intake, authenticator=LocalOwner())


@pytest.fixture
def reaper(lab: ApiLab) -> ReaperHandler:
    return ReaperHandler(
        reaper=lab.reaper,
        keeper=DeadLetterKeeper(dead_letters=lab.dead_letters, authenticator=LocalOwner()),
        submissions_dead=DEAD_SUBMISSIONS,
    )


def failing_for(letter_id: str, real: Callable[..., Any]) -> Callable[..., Any]:
    async def fails(caller: Any, letter: Any, **rest: Any) -> Any:
        if letter.id == letter_id:
            raise TableUnavailable("down")
        return await real(caller, letter, **rest)

    return fails


async def test_each_record_becomes_a_job_or_says_why_not(
    lab: ApiLab, intake: IntakeHandler
) -> None:
    answer = await intake.handle(event("submissions"))
    assert answer == {"batchItemFailures": []}
    assert lab.show(GOOD)["status"] == "queued"
    assert (await lab.records.spec(JobId(GOOD))).parameters["prompt"].endswith("café")
    assert lab.show(BAD)["error_code"] == "invalid-parameters"
    assert [each["id"] for each in lab.client.get("/dead").json()["letters"]] == [BAD]
    # SQS brings a record twice: nothing changes.
    assert await intake.handle(event("submissions")) == answer
    assert len(lab.client.get("/generate").json()["jobs"]) == 2


async def test_the_idempotency_key_is_read_from_the_records_attributes(
    lab: ApiLab, intake: IntakeHandler
) -> None:
    retried = event("submissions")
    retried["Records"] = [retried["Records"][0] | {"messageId": DEAD}]
    await intake.handle(event("submissions"))
    await intake.handle(retried)
    assert lab.show(DEAD)["id"] == GOOD


async def test_requests_are_those_of_the_caller_that_their_queue_stands_for(
    lab: ApiLab,
) -> None:
    studio = FakeAuthenticator(Caller(TenantId("studio"), frozenset({Scope.SUBMIT})))
    taken = event("submissions")
    await IntakeHandler(intake=lab.intake, authenticator=studio).handle(taken)
    assert {*studio.queues} == {queue_of(record) for record in taken["Records"]}
    for record in taken["Records"]:
        assert (await lab.records.get(JobId(record["messageId"]))).tenant == "studio"


async def test_dead_requests_are_those_of_the_same_caller(lab: ApiLab) -> None:
    studio = FakeAuthenticator(Caller(TenantId("studio"), frozenset({Scope.SUBMIT})))
    keeper = DeadLetterKeeper(dead_letters=lab.dead_letters, authenticator=studio)
    await keeper.keep(Message(GOOD, "garbage"), origin=Origin.SUBMISSIONS, queue="dead")
    await keeper.keep(Message(DEAD, "garbage"), origin=Origin.JOBS, queue="rung")
    assert studio.queues == ["dead"]
    assert (await lab.dead_letters.get(GOOD)).origin is Origin.SUBMISSIONS
    assert (await lab.dead_letters.get(DEAD)).origin is Origin.JOBS


async def test_only_the_records_that_failed_come_again(
    lab: ApiLab, intake: IntakeHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab.intake, "take", failing_for(GOOD, lab.intake.take))
    answer = await intake.handle(event("submissions"))
    assert answer == {"batchItemFailures": [{"itemIdentifier": GOOD}]}
    assert lab.show(BAD)["status"] == "failed"


async def test_a_dead_doorbell_rings_for_its_job(lab: ApiLab, reaper: ReaperHandler) -> None:
    job_id = lab.submit()["id"]
    dead = event("dead-doorbell")
    dead["Records"][0]["body"] = json.dumps({"job_id": job_id})
    lab.queue.messages.clear()
    assert await reaper.handle(dead) == {"batchItemFailures": []}
    assert [message.job_id for message in lab.queue.messages] == [job_id]
    assert lab.client.get(f"/dead/{DEAD}").json()["origin"] == "jobs"


async def test_a_dead_submission_becomes_a_job(lab: ApiLab, reaper: ReaperHandler) -> None:
    dead = event("submissions")
    for record in dead["Records"]:
        record["eventSourceARN"] = f"arn:aws:sqs:us-east-1:123456789012:{DEAD_SUBMISSIONS}"
    assert await reaper.handle(dead) == {"batchItemFailures": []}
    assert lab.show(GOOD)["status"] == "queued"
    assert lab.show(BAD)["status"] == "failed"


async def test_a_message_that_cannot_be_stored_comes_again(
    lab: ApiLab, reaper: ReaperHandler
) -> None:
    lab.table.faults_before.append(TableUnavailable("down"))
    answer = await reaper.handle(event("dead-doorbell"))
    assert answer == {"batchItemFailures": [{"itemIdentifier": DEAD}]}
    assert lab.client.get("/dead").json()["letters"] == []


async def test_the_schedule_looks_at_the_jobs(lab: ApiLab, reaper: ReaperHandler) -> None:
    lab.submit()
    lab.clock.advance(3_700)
    assert await reaper.handle(event("schedule")) == {"rung": 1}
