"""Commands that serve until Ctrl-C, and ``env``, which tells other processes how to join."""

import json
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from comfyq.cli.errors import CannotStart, NotReached
from comfyq.cli.options import AsJson, ComfyUI, ComfyUIDir, DataDir
from comfyq.cli.starting import readable_failures, settings_with

if TYPE_CHECKING:
    from comfyq.config import Settings
    from comfyq.local.up import Up
    from comfyui_simulator import Simulator

COMFYUI_URL = "http://127.0.0.1:8188"  # where ComfyUI listens unless it is told otherwise

Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every one.")]


def up(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8000,
    data_dir: DataDir = None,
    comfyui: ComfyUI = None,
    comfyui_command: Annotated[
        str | None,
        typer.Option(metavar="CMD", help="Start this ComfyUI, and again whenever it ends."),
    ] = None,
    comfyui_dir: ComfyUIDir = None,
    workers: Annotated[int, typer.Option(min=0, max=64, help="For each ComfyUI.")] = 1,
    backend: Annotated[
        Literal["embedded", "emulator", "aws"] | None,
        typer.Option(help="Where jobs are kept.  [env: COMFYQ_BACKEND; default: embedded]"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Serve everything on this machine: API, sockets, workers. Without a ComfyUI, simulate one."""
    with readable_failures():
        from comfyq.local.logging import configure_logging
        from comfyq.local.loop import run
        from comfyq.local.up import UpOptions, serve_until_signal

        settings = settings_with(
            COMFYQ_DATA_DIR=data_dir, COMFYQ_BACKEND=backend, COMFYUI_DIR=comfyui_dir
        )
        configure_logging(settings.log_level)
        options = UpOptions(
            host=host,
            port=port,
            workers=workers,
            comfyui=_comfyui(comfyui, settings, started=comfyui_command is not None),
            comfyui_command=comfyui_command,
        )
        run(serve_until_signal(settings, options, lambda up: _print_up(up, as_json)))


def worker(
    data_dir: DataDir = None,
    comfyui: ComfyUI = None,
    comfyui_command: Annotated[
        str | None,
        typer.Option(metavar="CMD", help="Start this ComfyUI, and again whenever it ends."),
    ] = None,
    comfyui_dir: ComfyUIDir = None,
    worker_id: Annotated[
        str | None, typer.Option(help="Default: one that is made once for each ComfyUI.")
    ] = None,
    depth: Annotated[
        int | None, typer.Option(help="Prompts kept in ComfyUI's queue.", show_default="2")
    ] = None,
    drain_s: Annotated[
        float | None,
        typer.Option(help="What runs may take so long when stopped.", show_default="100"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run jobs on ComfyUI. `eval "$(comfyq env)"` before it joins a running `comfyq up`."""
    with readable_failures():
        from comfyq.local.logging import configure_logging
        from comfyq.local.loop import run
        from comfyq.local.worker import comfyui_of, work_until_signal

        settings = settings_with(
            COMFYQ_DATA_DIR=data_dir,
            COMFYUI_DIR=comfyui_dir,
            COMFYQ_WORKER_ID=worker_id,
            COMFYQ_DEPTH=depth,
            COMFYQ_DRAIN_S=drain_s,
        )
        started = comfyui_command is not None
        urls = _comfyui(comfyui, settings, started=started) or [comfyui_of(settings)]
        _check_alone(urls, settings, started=started)
        configure_logging(settings.log_level)
        ready = partial(_print_worker, settings, urls, as_json)
        run(work_until_signal(settings, urls, ready, comfyui_command=comfyui_command))


def simulator(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8188,
    generation: Annotated[
        Literal["0.3.75", "0.33.0"], typer.Option(help="The ComfyUI whose protocol it speaks.")
    ] = "0.33.0",
    data_dir: Annotated[
        Path | None, typer.Option(help="For its files; default: a temporary one.")
    ] = None,
    step_s: Annotated[float, typer.Option(min=0, help="Of one sampling step.")] = 0.01,
    load_s: Annotated[float, typer.Option(min=0, help="Of loading a model.")] = 0.0,
    preview_every_steps: Annotated[int, typer.Option(min=0, help="0 sends no previews.")] = 1,
    video_bytes: Annotated[int, typer.Option(min=0, help="Least size of a saved video.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Serve a ComfyUI without a GPU: same protocol, pictures that say SIMULATED."""

    from comfyui_simulator import SimulatorSettings

    settings = SimulatorSettings(
        host=host,
        port=port,
        generation=generation,
        data_dir=data_dir,
        step_s=step_s,
        load_s=load_s,
        preview_every_steps=preview_every_steps,
        video_bytes=video_bytes,
    )
    with readable_failures():
        from comfyq.local.loop import run

        run(_simulate(settings, as_json))


def env(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Print the settings of the running `comfyq up`: `eval "$(comfyq env)"`."""
    from comfyq.bootstrap.runtime_file import NotRunning, read_runtime

    try:
        exports = read_runtime(settings_with(COMFYQ_DATA_DIR=data_dir).data_dir)
    except NotRunning as missing:
        raise NotReached(str(missing)) from missing
    if as_json:
        typer.echo(json.dumps(exports))
        return
    for name, value in exports.items():
        typer.echo(f"export {name}={_quoted(value)}")


async def _simulate(settings: Any, as_json: bool) -> None:
    from comfyq.local.signals import stop_event
    from comfyui_simulator import Simulator

    stopped = stop_event()
    async with Simulator(settings) as running:
        _print_simulator(running, as_json)
        await stopped.wait()


def _comfyui(given: list[str] | None, settings: "Settings", *, started: bool = False) -> list[str]:
    """Base URLs: the options', or else the environment's, or else of the one that we start."""
    if given:
        return [url.rstrip("/") for url in given]
    named = settings.comfyui.base_url or (COMFYUI_URL if started else None)
    return [named] if named else []


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def _print_up(up: "Up", as_json: bool) -> None:
    data_dir = str(up.settings.data_dir.resolve())
    if as_json:
        _print_ready(
            url=up.url,
            data_dir=data_dir,
            comfyui=list(up.comfyui),
            simulated=up.simulated,
            no_simulator=up.no_simulator,
        )
        return
    body = '{"prompt": "a red fox in the snow"}'
    simulated = "simulated, so no picture is real; `--comfyui URL` connects a real one"
    connected = ", ".join(up.comfyui) or "none here; start `comfyq worker`"
    if up.no_simulator:
        connected = (
            f"none here: no simulator was started. {up.no_simulator}\n"
            "           `--comfyui URL` adds a worker, `--data-dir DIR` simulates elsewhere"
        )
    typer.echo(
        f"comfyq is up at {up.url} until Ctrl-C\n"
        f"  docs     {up.url}/docs\n"
        f"  data     {data_dir} ({up.settings.backend})\n"
        f"  ComfyUI  {simulated if up.simulated else connected}\n"
        f"  try      curl {up.url}/generate -H 'Content-Type: application/json' -d '{body}'"
    )


def _print_worker(settings: "Settings", urls: list[str], as_json: bool) -> None:
    if as_json:
        _print_ready(comfyui=urls, data_dir=str(settings.data_dir.resolve()))
        return
    typer.echo(f"working for the {settings.backend} backend on {', '.join(urls)} until Ctrl-C")


def _check_alone(urls: list[str], settings: "Settings", *, started: bool) -> None:
    """Refuse options of one ComfyUI, or of one worker, together with several."""
    if started and len(urls) > 1:
        raise CannotStart("one command starts one ComfyUI: with it, name one --comfyui")
    if settings.worker.worker_id and len(urls) > 1:
        raise CannotStart("one id is one worker's: with --worker-id, name one --comfyui")


def _print_simulator(running: "Simulator", as_json: bool) -> None:
    if as_json:
        _print_ready(url=running.url, data_dir=str(running.data_dir))
        return
    typer.echo(
        f"a simulated ComfyUI {running.settings.generation} is at {running.url} until Ctrl-C"
    )


def _print_ready(**what: object) -> None:
    """One line once it serves, for whoever started it."""
    ready: Mapping[str, object] = {"pid": os.getpid(), **what}
    typer.echo(json.dumps(ready))
