"""Dead letters: a doorbell rings again, and everything stays readable and redrivable."""

import json
from datetime import timedelta

import pytest

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.domain.caller import DEFAULT_TENANT, TenantId
from comfyq.domain.dead_letter import DeadLetter, Origin, RedriveOutcome
from comfyq.domain.errors import DeadLetterNotFound, QueueUnavailable, TooContended
from comfyq.domain.job import JobId
from comfyq.ports.inbox import Message
from comfyq.records.dead_letters import KEPT, PART_CHARS, DeadLetterRecords
from tests.api_lab import ApiLab

pytestmark = pytest.mark.anyio

OTHER = TenantId("other")


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


def doorbell(job_id: str, letter_id: str = "d1") -> Message:
    return Message(letter_id, json.dumps({"job_id": job_id}))


async def rings(lab: ApiLab) -> list[JobId]:
    """Take all messages out of the queue."""
    heard = []
    while (delivery := await lab.queue.receive(wait_s=0)) is not None:
        heard.append(delivery.job_id)
        await delivery.ack()
    return heard


async def test_a_dead_doorbell_of_a_waiting_job_rings_again(lab: ApiLab) -> None:
    job_id = lab.submit()["id"]
    await rings(lab)
    lab.clock.advance(60)
    outcome = await lab.dead_letters.keep_doorbell(doorbell(job_id))
    assert outcome is RedriveOutcome.RUNG
    assert await rings(lab) == [job_id]
    job = await lab.records.get(JobId(job_id))
    assert (job.status, job.error, job.rung_at) == ("queued", None, lab.clock.now())
    letter = await lab.dead_letters.get("d1")
    assert (letter.body, letter.origin, letter.redrives) == (doorbell(job_id).body, "jobs", 0)


async def test_a_dead_doorbell_of_a_held_or_ended_job_is_only_kept(lab: ApiLab) -> None:
    held, ended = lab.submit()["id"], lab.submit()["id"]
    await lab.start(held)
    await lab.succeed(ended)
    await rings(lab)
    for job_id in (held, ended):
        outcome = await lab.dead_letters.keep_doorbell(doorbell(job_id, job_id))
        assert outcome is RedriveOutcome.HEARD
    assert await rings(lab) == []


@pytest.mark.parametrize("body", ['{"job_id": "nowhere"}', "garbage", ""])
async def test_what_rings_for_nothing_is_kept_for_the_operator(lab: ApiLab, body: str) -> None:
    outcome = await lab.dead_letters.keep_doorbell(Message("d1", body))
    assert outcome is RedriveOutcome.GONE
    assert (await lab.dead_letters.get("d1")).body == body


async def test_a_queue_that_is_away_keeps_the_message_where_it_is(lab: ApiLab) -> None:
    job_id = lab.submit()["id"]
    lab.queue.faults.append(QueueUnavailable("down"))
    with pytest.raises(QueueUnavailable):
        await lab.dead_letters.keep_doorbell(doorbell(job_id))
    await rings(lab)
    assert await lab.dead_letters.keep_doorbell(doorbell(job_id)) is RedriveOutcome.RUNG
    assert await rings(lab) == [job_id]


async def test_messages_of_a_tenant_are_listed_newest_first(lab: ApiLab) -> None:
    for n in range(3):
        lab.clock.advance(1)
        await lab.dead_letters.keep_doorbell(Message(f"d{n}", "?"))
    first = await lab.dead_letters.list(DEFAULT_TENANT, limit=2)
    rest = await lab.dead_letters.list(DEFAULT_TENANT, limit=2, after=first.cursor)
    shown = (*first.dead_letters, *rest.dead_letters)
    assert [letter.id for letter in shown] == ["d2", "d1", "d0"]
    assert (await lab.dead_letters.list(OTHER, limit=5)).dead_letters == []


async def test_a_redriven_doorbell_rings_and_is_counted(lab: ApiLab) -> None:
    job_id = lab.submit()["id"]
    await lab.dead_letters.keep_doorbell(doorbell(job_id))
    await rings(lab)
    letter, outcome = await lab.dead_letters.redrive(OWNER, "d1")
    assert (letter.redrives, outcome) == (1, RedriveOutcome.RUNG)
    assert await rings(lab) == [job_id]
    # The queue gives up on it a second time: the letter is the same, and so is its count.
    await lab.dead_letters.keep_doorbell(doorbell(job_id))
    assert (await lab.dead_letters.get("d1")).redrives == 1


async def test_of_two_redrives_at_once_one_is_refused(lab: ApiLab) -> None:
    records = DeadLetterRecords(lab.table)
    await lab.dead_letters.keep_doorbell(Message("d1", "?"))
    letter = await records.get("d1")
    await records.count_redrive(letter)
    with pytest.raises(TooContended):
        await records.count_redrive(letter)


@pytest.mark.parametrize("body", ["é" * 500_000, "x" * 1_048_576, "😀" * PART_CHARS])
async def test_a_body_of_any_size_that_sqs_takes_is_kept_whole(lab: ApiLab, body: str) -> None:
    records = DeadLetterRecords(lab.table)
    letter = DeadLetter(
        id="big",
        origin=Origin.SUBMISSIONS,
        tenant=DEFAULT_TENANT,
        body=body,
        attributes={"idempotency_key": "k"},
        reason="why",
        buried_at=lab.clock.now(),
    )
    assert await records.add(letter)
    assert not await records.add(letter)
    assert await records.get("big") == letter
    lab.clock.advance(KEPT / timedelta(seconds=1) + 1)
    with pytest.raises(DeadLetterNotFound):
        await records.get("big")


async def test_the_api_lists_shows_and_redrives(lab: ApiLab) -> None:
    job_id = lab.submit()["id"]
    await lab.dead_letters.keep_doorbell(doorbell(job_id))
    listed = lab.client.get("/dead").json()
    assert [letter["id"] for letter in listed["letters"]] == ["d1"]
    assert listed["next_cursor"] is None
    shown = lab.client.get("/dead/d1").json()
    assert shown == listed["letters"][0]
    answer = lab.client.post("/dead/d1/redrive").json()
    assert (answer["outcome"], answer["letter"]["redrives"]) == ("rung", 1)
    missing = lab.client.post("/dead/d9/redrive")
    assert (missing.status_code, missing.json()["code"]) == (404, "dead-letter-not-found")
