"""Servers with facades, and clients of others, which `make .facades/.made` installs."""

import asyncio
import io
import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from comfyq.bootstrap.access import opened_keys
from comfyq.config import Settings, read_settings
from comfyq.domain.caller import DEFAULT_TENANT, Scope
from tests.lambda_front import lambda_front
from tests.processes import ROOT, Processes, clean_env

PYTHON = ROOT / ".facades/bin/python"
CLIENTS = ROOT / "infra/facades"
TIMEOUT_S = 120


@contextmanager
def served(
    folder: Path, facade: str, scopes: frozenset[Scope], *, by_lambda: bool = False
) -> Iterator[tuple[str, str]]:
    """Serve with keys; yield the URL, and a key with these scopes."""
    facades = {"COMFYQ_FACADES": facade}
    with ExitStack() as stack:
        processes = stack.enter_context(closing(Processes(folder)))
        settings = read_settings({"COMFYQ_DATA_DIR": str(folder / "data")})
        key = asyncio.run(_new_key(settings, scopes))
        options = ("--auth", "keys")
        up = processes.up(data_dir=settings.data_dir, options=options, env=facades)
        if not by_lambda:
            yield up.url, key
            return
        env = clean_env(folder, {**up.exports, **facades, "COMFYQ_AUTH": "keys"})
        yield stack.enter_context(lambda_front(env)).url, key


async def _new_key(settings: Settings, scopes: frozenset[Scope]) -> str:
    async with opened_keys(settings) as keys:
        return (await keys.create(DEFAULT_TENANT, "facade", scopes, lives=None))[1]


def told_by(client: str, *arguments: object, home: Path, **env: str) -> Any:
    """Run a client's script, and return what it prints."""
    command = [str(PYTHON), str(CLIENTS / client), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=TIMEOUT_S, env=clean_env(home, env)
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    return json.loads(done.stdout)


def size_of(content: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(content)) as picture:
        return picture.size
