"""Signals that request the end of the process."""

import signal
import subprocess
import sys

STOPPED = """
import asyncio, signal
from comfyq.local.signals import on_stop

async def main():
    with on_stop(lambda: None):
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0)

asyncio.run(main())
"""


def test_a_signal_that_nobody_else_handles_ends_the_process() -> None:
    ended = subprocess.run([sys.executable, "-c", STOPPED], timeout=30, check=False)
    assert ended.returncode == -signal.SIGTERM
