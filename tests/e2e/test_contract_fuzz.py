"""The HTTP API with keys against its own description, by schemathesis, which `make .fuzz/.made`
installs.

Every check of schemathesis is on. What a check cannot know is in ``infra/fuzz``.
"""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from comfyq.bootstrap.access import opened_keys
from comfyq.config import Settings, read_settings
from comfyq.domain.caller import DEFAULT_TENANT, Scope
from tests.processes import ROOT, Processes

SCHEMATHESIS = ROOT / ".fuzz/bin/schemathesis"
SHORT_S, LONG_S = 120, 1_500


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    key: str


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("fuzz")
    settings = read_settings({"COMFYQ_DATA_DIR": str(folder / "data")})
    with closing(Processes(folder)) as processes:
        key = asyncio.run(_new_key(settings))
        up = processes.up(data_dir=settings.data_dir, options=("--auth", "keys"))
        yield Server(up.url, key)


async def _new_key(settings: Settings) -> str:
    async with opened_keys(settings) as keys:
        made = await keys.create(DEFAULT_TENANT, "fuzz", frozenset(Scope), lives=None)
        return made[1]


def fuzz(server: Server, config: str, *options: str, timeout_s: float) -> None:
    command = [
        str(SCHEMATHESIS),
        f"--config-file=infra/fuzz/{config}.toml",
        "run",
        f"{server.url}/openapi.json",
        "--checks=all",
        "--exclude-checks=use_after_free",  # DELETE cancels a job, which is shown from then on
        f"--header=Authorization: Bearer {server.key}",
        "--no-color",
        *options,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s)
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-2_000:]


@pytest.mark.timeout(SHORT_S)
def test_every_documented_example_is_accepted(server: Server) -> None:
    fuzz(server, "examples", timeout_s=SHORT_S)


@pytest.mark.timeout(SHORT_S)
def test_what_the_description_allows_is_answered_as_it_says(server: Server) -> None:
    fuzz(server, "anything", "--phases=fuzzing", "--max-examples=2", timeout_s=SHORT_S)


@pytest.mark.verify
@pytest.mark.timeout(LONG_S)
def test_whatever_is_sent_is_answered_as_the_description_says(server: Server) -> None:
    fuzz(server, "anything", "--max-examples=20", timeout_s=LONG_S)
