"""The whole cloud path on one machine: `make aws-local`.

usage: python -m infra.aws_local up [--port N] [--comfyui URL]   serve until Ctrl-C
       python -m infra.aws_local measure                         the functions' figures
       python -m infra.aws_local test [PYTEST ARGUMENT...]       the end-to-end suite, and figures
"""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

from comfyq.aio.logs import log
from comfyq.local.emulator import EmulatorError
from comfyq.local.loop import run
from comfyq.local.serving import PortTaken
from comfyq.local.signals import stop_event
from infra.aws_local.children import NotStarted
from infra.aws_local.cloud import WrongDeployment
from infra.aws_local.stack import Options, running
from infra.deployment.stack import CannotDeploy

EXPECTED = (CannotDeploy, EmulatorError, NotStarted, PortTaken, WrongDeployment)
WRONG_USAGE = 2


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["test"]:
        from infra.aws_local.suite import run_suite

        return run_suite(arguments[1:])
    given = _parser().parse_args(arguments)
    log.configure("info")
    try:
        if given.command == "measure":
            from infra.aws_local.measuring import measure

            asyncio.run(measure())
        else:
            run(_serve(given))
    except BaseExceptionGroup as group:
        return _told(group.exceptions[0])
    except EXPECTED as expected:
        return _told(expected)
    return 0


async def _serve(given: argparse.Namespace) -> None:
    stopped = stop_event()
    options = Options(
        data_dir=given.data_dir,
        port=given.port,
        workers=given.workers,
        comfyui=given.comfyui,
        auth=given.auth,
    )
    async with running(options) as here:
        ready = {
            "pid": os.getpid(),
            "url": here.url,
            "data_dir": str(given.data_dir.resolve()),
            "comfyui": list(here.comfyui),
            "simulated": not given.comfyui,
        }
        print(json.dumps(ready) if given.json else _invitation(here.url), flush=True)
        await stopped.wait()


def _invitation(url: str) -> str:
    return f"the cloud path is at {url} until Ctrl-C; {url}/docs shows what it takes"


def _told(error: BaseException) -> int:
    if not isinstance(error, EXPECTED):
        raise error
    print(error, file=sys.stderr)
    return WRONG_USAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.aws_local")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("measure")
    up = commands.add_parser("up")
    up.add_argument("--port", type=int, default=8000)
    up.add_argument("--data-dir", type=Path, default=Path(".comfyq/aws-local"))
    up.add_argument("--workers", type=int, default=1)
    up.add_argument("--backend", choices=["embedded", "emulator"], help=argparse.SUPPRESS)
    up.add_argument("--comfyui", action="append", default=[])
    up.add_argument("--auth", choices=["none", "keys"], default="none")
    up.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
