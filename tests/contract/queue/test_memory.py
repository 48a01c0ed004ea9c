"""The in-memory queue misbehaves on demand, as SQS may of itself."""

import pytest

from comfyq.domain.errors import QueueUnavailable
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.queue import MemoryQueue
from tests.contract.queue.bench import Bench

pytestmark = pytest.mark.anyio


async def test_the_memory_queue_loses_and_doubles_on_demand() -> None:
    bench = Bench(queue := MemoryQueue(clock=ManualClock()))
    queue.drop, queue.duplicate = 1, 1
    await bench.ring()
    assert await bench.silence()
    job_id = await bench.ring()
    first = await bench.arrival()
    await first.ack()
    assert (await bench.arrival()).job_id == first.job_id == job_id
    queue.faults.append(QueueUnavailable("down"))
    with pytest.raises(QueueUnavailable):
        await bench.ring()
