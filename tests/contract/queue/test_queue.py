"""The contract of ports/queue.py, on every engine."""

import time

import anyio
import pytest

from comfyq.domain.job import JobId
from comfyq.ports.queue import MAX_DELAY_S, MAX_HIDE_S, MAX_WAIT_S
from tests.contract.queue.bench import ALICE, BOB, MAX_RECEIVES, VISIBILITY_S, Bench

pytestmark = pytest.mark.anyio


def skip_on_moto(bench: Bench, reason: str) -> None:
    if bench.is_moto:
        pytest.skip(f"moto: {reason}")


async def test_a_ring_is_received_and_acknowledged(bench: Bench) -> None:
    job_id = await bench.ring()
    delivery = await bench.arrival()
    assert delivery.job_id == job_id
    assert await bench.silence()
    await delivery.ack()
    bench.pass_time(VISIBILITY_S)
    assert await bench.silence()


async def test_every_ring_arrives_whatever_the_order(bench: Bench) -> None:
    rung = {await bench.ring(tenant=tenant) for tenant in (ALICE, BOB, ALICE)}
    received = {(await bench.arrival()).job_id for _ in rung}
    assert received == rung


async def test_what_is_not_acknowledged_comes_back(bench: Bench) -> None:
    skip_on_moto(bench, "it shows nothing new for its seconds")
    job_id = await bench.ring()
    first = await bench.arrival()
    assert await bench.silence()
    bench.pass_time(VISIBILITY_S)
    second = await bench.arrival()
    assert second.job_id == job_id
    # The first receipt has lapsed. That is no error, and must not hide or delete for the second.
    await first.hide(MAX_HIDE_S)
    await second.hide(0)
    third = await bench.arrival()
    await third.ack()
    await third.ack()
    await second.hide(5)
    assert await bench.silence()


async def test_a_message_is_hidden_for_as_long_as_was_said(bench: Bench) -> None:
    skip_on_moto(bench, "it shows nothing new for its seconds")
    await bench.ring()
    delivery = await bench.arrival()
    await delivery.hide(0)
    delivery = await bench.arrival()
    await delivery.hide(VISIBILITY_S + 1)
    began = time.monotonic()
    bench.pass_time(VISIBILITY_S)
    assert await bench.silence()
    bench.pass_time(1)
    await bench.arrival()
    if bench.clock is None:
        assert time.monotonic() - began > VISIBILITY_S + 0.5


async def test_a_delayed_ring_comes_later(bench: Bench) -> None:
    skip_on_moto(bench, "it shows nothing new for its seconds")
    began = time.monotonic()
    job_id = await bench.ring(delay_s=0.7)
    assert await bench.silence()
    bench.pass_time(0.7)
    assert (await bench.arrival()).job_id == job_id
    if bench.clock is None:
        assert time.monotonic() - began > 0.6


async def test_what_is_never_acknowledged_stops_coming(bench: Bench) -> None:
    await bench.ring()
    for _ in range(MAX_RECEIVES):
        await (await bench.arrival()).hide(0)
    other = await bench.ring()
    assert (await bench.arrival()).job_id == other
    assert await bench.silence()


async def test_receive_waits_for_a_ring(bench: Bench) -> None:
    received: list[JobId] = []

    async def receive() -> None:
        received.append((await bench.arrival()).job_id)

    async with anyio.create_task_group() as group:
        group.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        job_id = await bench.ring()
    assert received == [job_id]


async def test_receive_gives_up_when_its_time_is_over(bench: Bench) -> None:
    skip_on_moto(bench, "it shows nothing new for its seconds")
    began = time.monotonic()
    assert await bench.queue.receive(wait_s=0.3) is None
    assert 0.29 < time.monotonic() - began < 5


async def test_times_that_sqs_does_not_know_are_refused(bench: Bench) -> None:
    await bench.ring()
    delivery = await bench.arrival()
    for refused in (
        bench.ring(delay_s=MAX_DELAY_S + 1),
        bench.ring(delay_s=-1),
        bench.queue.receive(wait_s=MAX_WAIT_S + 1),
        delivery.hide(MAX_HIDE_S + 1),
        delivery.hide(-1),
    ):
        with pytest.raises(ValueError, match="it is 0 to"):
            await refused


async def test_many_receivers_get_each_ring_once(bench: Bench) -> None:
    skip_on_moto(bench, "it is not made for threads")
    rung = {await bench.ring() for _ in range(40)}
    received: list[JobId] = []

    async def work() -> None:
        while (delivery := await bench.queue.receive(wait_s=0)) is not None:
            received.append(delivery.job_id)
            await delivery.ack()

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(work)
    assert sorted(received) == sorted(rung)


async def test_a_ring_for_a_canceled_receiver_comes_back_at_once(bench: Bench) -> None:
    skip_on_moto(bench, "it is not made for threads")
    # A poll that goes on may take the ring of a later round as well: each counts as a receipt.
    for _ in range(MAX_RECEIVES - 1):
        async with anyio.create_task_group() as group:
            group.start_soon(bench.arrival)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        began = time.monotonic()
        job_id = await bench.ring()
        delivery = await bench.arrival()
        assert delivery.job_id == job_id
        assert time.monotonic() - began < VISIBILITY_S - 0.5
        await delivery.ack()


async def test_many_rings_at_once_all_arrive(bench: Bench) -> None:
    rung = [JobId(f"job-{n}") for n in range(23)]  # more than two batches of SQS
    await bench.queue.send_many(rung, tenant=ALICE)
    received = set()
    for _ in rung:
        delivery = await bench.arrival()
        received.add(delivery.job_id)
        await delivery.ack()
    assert received == set(rung)
    await bench.queue.send_many([], tenant=ALICE)
    assert await bench.silence()


async def test_a_message_counts_until_it_is_acknowledged(bench: Bench) -> None:
    assert await bench.queue.count() == 0
    await bench.ring()
    received = await bench.arrival()
    await bench.ring(delay_s=1)
    await bench.ring()
    assert await bench.queue.count() == 3, "received, delayed and visible ones"
    await received.ack()
    assert await bench.queue.count() == 2
