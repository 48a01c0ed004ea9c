"""The end-to-end suite through the cloud path, then what the functions took."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from infra.aws_local.sandbox import ROOT

# What the embedded backend runs too; the rest of the folder is about processes of its own.
SUITE = (
    "tests/e2e/test_spec_clients.py",
    "tests/e2e/test_socket_clients.py",
    "tests/e2e/test_cli.py",
    "tests/e2e/test_cli_batch.py",
    "tests/e2e/test_inputs.py",
    "tests/e2e/test_intake.py",
    "tests/e2e/test_keys.py::test_a_key_is_made_and_revoked_beside_a_running_server",
)
SERVER = {"COMFYQ_TEST_SERVER": "infra.aws_local"}
TEST_TIMEOUT_S = 300  # a test starts all of it once or twice, each time with cold functions


def run_suite(arguments: Sequence[str]) -> int:
    """The exit code of whatever failed; ``arguments`` are pytest's."""
    began = time.monotonic()
    print("== the end-to-end suite through real Lambda entry points", flush=True)
    tests = _run(
        "pytest",
        *SUITE,
        "-m",
        "not comfyui",
        "--timeout",
        str(TEST_TIMEOUT_S),
        *arguments,
        env=SERVER,
    )
    print("== the functions by themselves", flush=True)
    figures = _run("infra.aws_local", "measure", env={})
    told = "passed" if tests == 0 else f"FAILED (exit code {tests})"
    print(f"end-to-end suite: {told}; all of it took {time.monotonic() - began:.0f} s")
    return tests or figures


def _run(*command: str, env: Mapping[str, str]) -> int:
    whole = {**os.environ, **env}  # noqa: TID251 - passed on as it is
    python = (sys.executable, "-m", *command)
    return subprocess.run(python, cwd=ROOT, env=whole, check=False).returncode
