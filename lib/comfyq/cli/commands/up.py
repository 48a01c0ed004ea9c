"""``comfyq up``: everything on this machine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import typer

from comfyq.aio.logs import log
from comfyq.bootstrap.identity import WorkerIdTaken
from comfyq.bootstrap.ports import MissingSetting
from comfyq.bootstrap.supervision import SupervisorTaken
from comfyq.bootstrap.worker import NotComfyUI
from comfyq.bootstrap.workers.membership import NotAdmitted
from comfyq.cli.addresses import EVERY_ONE, open_urls
from comfyq.cli.errors import CannotStart
from comfyq.cli.options import AsJson, ComfyUI, ComfyUICommand, ComfyUIDir, DataDir, Host, Port
from comfyq.cli.starting import (
    comfyui_urls,
    print_ready,
    readable_failures,
    settings_with,
    warn_of_settings,
)
from comfyq.config import Auth
from comfyq.local.emulator import EmulatorError
from comfyq.local.loop import run
from comfyq.local.serving import PortTaken
from comfyq.local.sign_in import NotSafe
from comfyq.local.up import Up, UpOptions, serve_until_signal

FAILURES = (
    EmulatorError,
    MissingSetting,
    NotAdmitted,
    NotComfyUI,
    NotSafe,
    PortTaken,
)
PASSING = (SupervisorTaken, WorkerIdTaken)  # another start may help

MADE = "an API key; `comfyq keys create NAME` makes one"
ISSUED = "a token of COMFYQ_OIDC_ISSUER"
SHOWN: Mapping[Auth | None, str] = {
    Auth.KEYS: MADE,
    Auth.OIDC: ISSUED,
    Auth.BOTH: f"{ISSUED}, or {MADE}",
}

SignIn = Annotated[
    Literal["none", "keys", "oidc", "keys,oidc"] | None,
    typer.Option(
        help="How clients show who they are.  \\[env: COMFYQ_AUTH; default: none on loopback, "
        "else keys]"
    ),
]
Insecure = Annotated[bool, typer.Option("--insecure", help="Serve other machines without sign-in.")]


def up(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    data_dir: DataDir = None,
    comfyui: ComfyUI = None,
    comfyui_command: ComfyUICommand = None,
    comfyui_dir: ComfyUIDir = None,
    workers: Annotated[int, typer.Option(min=0, max=64, help="For each ComfyUI.")] = 1,
    backend: Annotated[
        Literal["embedded", "emulator", "aws"] | None,
        typer.Option(help="Where jobs are kept.  \\[env: COMFYQ_BACKEND; default: embedded]"),
    ] = None,
    auth: SignIn = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Serve everything on this machine: API, sockets, workers. Without a ComfyUI, simulate one.

    All other settings are environment variables; `make docs` lists them in its page Settings.
    """
    with readable_failures(*FAILURES, passing=PASSING):
        settings = settings_with(
            COMFYQ_DATA_DIR=data_dir,
            COMFYQ_BACKEND=backend,
            COMFYQ_AUTH=auth,
            COMFYUI_DIR=comfyui_dir,
        )
        log.configure(settings.log_level)
        warn_of_settings(settings)
        urls = comfyui_urls(comfyui, settings, started=comfyui_command is not None)
        _refuse_lone_directory(comfyui_dir, urls)
        options = UpOptions(
            host=host,
            port=port,
            workers=workers,
            comfyui=urls,
            comfyui_command=comfyui_command,
            insecure=insecure,
        )
        run(serve_until_signal(settings, options, lambda up: _print_up(up, host, as_json)))


def _refuse_lone_directory(comfyui_dir: Path | None, urls: Sequence[str]) -> None:
    if comfyui_dir is not None and not urls:
        raise CannotStart(
            "--comfyui-dir is the directory of a ComfyUI that is connected or started here: add "
            "--comfyui URL or --comfyui-command CMD"
        )


def _print_up(up: Up, host: str, as_json: bool) -> None:
    data_dir = str(up.settings.data_dir.resolve())
    open_at = open_urls(host, urlsplit(up.url).port or 80)
    if as_json:
        print_ready(
            url=up.url,
            data_dir=data_dir,
            comfyui=list(up.comfyui),
            simulated=up.simulated,
            no_simulator=up.no_simulator,
            open_at=open_at,
        )
        return
    body = '{"prompt": "a red fox in the snow"}'
    simulated = "simulated, so no picture is real; `--comfyui URL` connects a real one"
    shown = SHOWN.get(up.settings.api.auth)
    key = ' -H "Authorization: Bearer $COMFYQ_API_KEY"' if shown else ""
    connected = ", ".join(up.comfyui) or "none here; start `comfyq worker`"
    if up.no_simulator:
        connected = (
            f"none here: no simulator was started, since {up.no_simulator}\n"
            "           `--comfyui URL` adds a worker, `--data-dir DIR` simulates elsewhere"
        )
    typer.echo(
        f"comfyq is up at {up.url} until Ctrl-C\n"
        f"  page     {up.url}/\n"
        f"  docs     {up.url}/docs\n"
        f"{_open_to(host, open_at, shown)}"
        f"  data     {data_dir} ({up.settings.backend})\n"
        f"  ComfyUI  {simulated if up.simulated else connected}\n"
        f"  try      curl {up.url}/generate{key} -H 'Content-Type: application/json' -d '{body}'"
    )


def _open_to(host: str, open_at: Sequence[str], shown: str | None) -> str:
    """Say who else than this machine may use the server, and what they have to show for it."""
    if not open_at and host not in EVERY_ONE:
        return ""
    urls = ", ".join(open_at) or "every address of this machine, which has none but its own now"
    if shown:
        return f"  open     {urls}\n           to clients with {shown}\n"
    return (
        f"  open     {urls}\n"
        "           to everyone who reaches this port, without sign-in: whoever does may submit,\n"
        "           read, cancel and delete; --host 127.0.0.1 serves this machine alone\n"
    )
