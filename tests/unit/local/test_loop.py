"""The event loop of processes that serve for long."""

import subprocess
import sys

PROGRAM = """
import sys
from comfyq.local.loop import run

async def main():
    print("structlog" in sys.modules)

assert "structlog" not in sys.modules
run(main())
"""


def test_what_logging_needs_is_imported_before_the_loop_runs() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "True\n"
