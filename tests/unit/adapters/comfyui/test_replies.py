"""What is told of answers that are no ComfyUI's."""

import asyncio
import json
import time

import pytest
from anyio import to_thread

from comfyq.adapters.comfyui.replies import BadReply, Reply, expect_ok


def test_another_server_s_page_is_not_part_of_the_reason() -> None:
    problem = b'{"title": "Not Found", "status": 404, "detail": "no such route"}'
    with pytest.raises(BadReply, match="is it a ComfyUI") as refused:
        expect_ok(Reply(404, problem), "system_stats")
    assert "{" not in str(refused.value)


@pytest.mark.anyio
async def test_the_event_loop_goes_on_while_node_classes_are_read() -> None:
    """Python's reader of JSON, in a thread as well, would stop it for as long as it takes."""
    entry = {"input": {"required": {"model": [[f"{n}.safetensors" for n in range(100)], {}]}}}
    reply = Reply(200, json.dumps(dict.fromkeys(map(str, range(1_500)), entry)).encode())
    stops = [await longest_stop(reply) for _ in range(5)]
    assert min(stops) < 1 / 2  # another process may have stopped all of this one for a while


async def longest_stop(reply: Reply) -> float:
    """Return for which part of the reading the event loop stood still at most."""
    longest, began = 0.0, time.monotonic()
    last = began
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(to_thread.run_sync(reply.entries))
        while not reading.done():
            await asyncio.sleep(0)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
    assert len(reading.result()) == 1_500
    return longest / (last - began)
