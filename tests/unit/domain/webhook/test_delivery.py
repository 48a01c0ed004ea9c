"""The times of a delivery's tries."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.job import JobId
from comfyq.domain.webhook.events import WebhookEvent
from comfyq.domain.webhook_delivery import (
    LAST_TRY,
    LEASE,
    WINDOW,
    Attempted,
    DeliveryId,
    DeliveryState,
    WebhookDelivery,
    again,
    claimed,
    put_off,
    settled,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NEW = WebhookDelivery(
    id=DeliveryId("msg_a_1"),
    job_id=JobId("a"),
    tenant=DEFAULT_TENANT,
    event=WebhookEvent.COMPLETED,
    at=NOW,
    due_at=NOW,
    until=NOW + WINDOW,
)
FAILED = Attempted(code=500, error="the receiver answered 500")


def tried(
    delivery: WebhookDelivery, attempted: Attempted, *, chance: float = 0.5
) -> WebhookDelivery:
    now = delivery.due_at
    return settled(claimed(delivery, now=now), attempted, now=now, chance=chance)


def test_pauses_grow_over_a_day_and_then_it_is_given_up() -> None:
    delivery, tries = NEW, []
    while delivery.is_pending:
        tries.append((delivery.due_at - NOW).total_seconds())
        delivery = tried(delivery, FAILED)
    assert tries[:6] == [0, 5, 35, 155, 755, 4_355]
    assert 80_000 > tries[-1] > 75_000, "the last try is late in the day"
    assert delivery.state is DeliveryState.FAILED
    assert delivery.error == f"the receiver answered 500; given up after {len(tries)} tries"
    assert delivery.id == NEW.id


def test_a_claim_is_a_lease_that_each_version_has_once() -> None:
    taken = claimed(NEW, now=NOW)
    assert (taken.due_at, taken.attempts, taken.version) == (NOW + LEASE, 1, 2)


def test_retries_of_many_are_spread() -> None:
    early, late = (tried(NEW, FAILED, chance=chance) for chance in (0.0, 1.0))
    assert early.due_at - NOW == timedelta(seconds=4)
    assert late.due_at - NOW == timedelta(seconds=6)


def test_the_receivers_own_time_is_kept() -> None:
    asked = replace(FAILED, not_before=NOW + timedelta(hours=2))
    assert tried(NEW, asked).due_at == NOW + timedelta(hours=2)
    sooner = replace(FAILED, not_before=NOW + timedelta(seconds=1))
    assert tried(NEW, sooner).due_at == NOW + timedelta(seconds=5)


def test_a_receiver_that_asks_for_longer_than_a_day_is_tried_once_more_within_it() -> None:
    late = replace(FAILED, not_before=NOW + timedelta(hours=25))
    after = tried(NEW, late)
    assert (after.state, after.due_at) == (DeliveryState.PENDING, NEW.until - LAST_TRY)
    assert not claimed(after, now=after.due_at).is_over(after.due_at + LEASE)
    assert after.error == (
        "the receiver answered 500; that is too late for it, so it is tried once more at "
        "2026-01-01 23:55:00Z"
    )
    ended = tried(after, late)
    assert ended.state is DeliveryState.FAILED
    assert ended.error == "the receiver answered 500; given up after 2 tries"
    progress = tried(replace(NEW, event=WebhookEvent.PROGRESS), late)
    assert progress.state is DeliveryState.FAILED, "it is sent once, whatever is asked"


@pytest.mark.parametrize(
    ("attempted", "state"),
    [
        (Attempted(code=204), DeliveryState.DELIVERED),
        (Attempted(code=410, error="gone", is_final=True), DeliveryState.FAILED),
        (Attempted(error="the job was deleted", is_final=True), DeliveryState.DROPPED),
    ],
)
def test_what_ends_a_delivery(attempted: Attempted, state: DeliveryState) -> None:
    assert tried(NEW, attempted).state is state


def test_progress_is_not_sent_again() -> None:
    progress = replace(NEW, event=WebhookEvent.PROGRESS)
    assert tried(progress, FAILED).state is DeliveryState.FAILED


def test_a_delivery_that_is_sent_once_more_has_its_id_and_a_new_day() -> None:
    later = NOW + timedelta(days=3)
    once_more = again(tried(NEW, Attempted(code=204)), now=later)
    assert once_more.is_pending
    assert (once_more.id, once_more.due_at, once_more.attempts) == (NEW.id, later, 0)
    assert (once_more.code, once_more.error) == (None, None), "of its new tries there was none"
    assert once_more.until == later + WINDOW


def test_one_that_is_being_sent_is_sent_again_when_its_lease_ends() -> None:
    """Else two senders would send it at once."""
    taken, later = claimed(NEW, now=NOW), NOW + timedelta(seconds=1)
    once_more = again(again(taken, now=later), now=later)
    assert (once_more.due_at, once_more.version) == (NOW + LEASE, taken.version + 2)
    assert again(taken, now=NOW + LEASE).due_at == NOW + LEASE, "its sender is dead"
    assert again(taken, now=NOW - timedelta(hours=1)).due_at == NOW - timedelta(hours=1) + LEASE
    waiting = tried(NEW, FAILED)
    assert again(waiting, now=later).due_at == later, "nobody sends it between two tries"


def test_one_that_was_not_sent_is_due_when_the_pause_of_its_receiver_ends() -> None:
    ends = NOW + timedelta(minutes=10)
    delivery = replace(NEW, attempts=6)
    after = tried(delivery, Attempted(error="paused", not_before=ends, is_tried=False))
    assert (after.due_at, after.attempts) == (ends, 6)


def test_what_is_put_off_shows_no_answer_of_the_try_before() -> None:
    before = tried(NEW, FAILED)
    later = before.due_at + timedelta(seconds=30)
    after = put_off(before, until=later, why="it hangs")
    assert (after.code, after.error, after.due_at) == (None, "it hangs", later)
    assert (after.attempts, after.version) == (1, before.version + 1)


def test_its_time_is_over_only_after_a_try() -> None:
    late = NEW.until + timedelta(seconds=1)
    assert not NEW.is_over(late)
    taken = claimed(NEW, now=NOW)
    assert taken.is_over(late)
    assert not taken.is_over(NEW.until)
