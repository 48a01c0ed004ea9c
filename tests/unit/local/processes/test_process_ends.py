"""The end of a watched process wakes who waits for it."""

import os
import subprocess
import sys
from collections.abc import Iterator

import anyio
import pytest

from comfyq.local.processes.process_ends import ProcessEnds

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux tells of it"),
]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as running:
        yield running
        running.kill()


async def test_a_kill_is_told_at_once(process: subprocess.Popen[bytes]) -> None:
    with ProcessEnds().watching() as ends:
        assert ends.watch([process.pid])
        process.kill()
        with anyio.fail_after(10):
            await ends.wait(most_s=60)
        process.wait()
        assert not ends.watch([process.pid])


async def test_a_process_that_is_not_known_cannot_be_watched(
    process: subprocess.Popen[bytes],
) -> None:
    with ProcessEnds().watching() as ends:
        assert not ends.watch([None, process.pid])
        assert ends.watch([process.pid])


async def test_what_is_watched_no_more_wakes_nobody(process: subprocess.Popen[bytes]) -> None:
    with ProcessEnds().watching() as ends:
        assert ends.watch([process.pid])
        assert ends.watch([])
        process.kill()
        process.wait()
        waiting = False
        with anyio.move_on_after(0.1):
            waiting = True
            await ends.wait(most_s=60)
            waiting = False
    assert waiting
