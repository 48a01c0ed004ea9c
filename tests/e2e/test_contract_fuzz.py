"""The HTTP API against its own description, by schemathesis, which `make .fuzz/.made` installs.

Every check of schemathesis is on. What a check cannot know is in ``infra/fuzz``.
"""

import subprocess
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.processes import ROOT, Process, Processes

SCHEMATHESIS = ROOT / ".fuzz/bin/schemathesis"
SHORT_S, LONG_S = 120, 1_500


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with closing(Processes(tmp_path_factory.mktemp("fuzz"))) as processes:
        yield processes.up()


def fuzz(server: Process, config: str, *options: str, timeout_s: float) -> None:
    command = [
        str(SCHEMATHESIS),
        f"--config-file=infra/fuzz/{config}.toml",
        "run",
        f"{server.url}/openapi.json",
        "--checks=all",
        "--exclude-checks=use_after_free",  # DELETE cancels a job, which is shown from then on
        "--no-color",
        *options,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s)
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-2_000:]


@pytest.mark.timeout(SHORT_S)
def test_every_documented_example_is_accepted(server: Process) -> None:
    fuzz(server, "examples", timeout_s=SHORT_S)


@pytest.mark.timeout(SHORT_S)
def test_what_the_description_allows_is_answered_as_it_says(server: Process) -> None:
    fuzz(server, "anything", "--phases=fuzzing", "--max-examples=2", timeout_s=SHORT_S)


@pytest.mark.verify
@pytest.mark.timeout(LONG_S)
def test_whatever_is_sent_is_answered_as_the_description_says(server: Process) -> None:
    fuzz(server, "anything", "--max-examples=20", timeout_s=LONG_S)
