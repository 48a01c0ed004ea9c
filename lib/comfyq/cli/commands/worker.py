"""``comfyq worker``: jobs for a ComfyUI."""

from functools import partial
from typing import Annotated

import typer

from comfyq.aio.logs import log
from comfyq.bootstrap.identity import WorkerIdTaken
from comfyq.bootstrap.ports import MissingSetting
from comfyq.bootstrap.supervision import SupervisorTaken
from comfyq.bootstrap.worker import NotComfyUI
from comfyq.bootstrap.workers.membership import NotAdmitted
from comfyq.cli.errors import CannotStart
from comfyq.cli.options import AsJson, ComfyUI, ComfyUICommand, ComfyUIDir, DataDir
from comfyq.cli.starting import (
    comfyui_urls,
    print_ready,
    readable_failures,
    settings_with,
    warn_of_settings,
)
from comfyq.config import Settings
from comfyq.local.loop import run
from comfyq.local.worker import comfyui_of, work_until_signal

FAILURES = (MissingSetting, NotAdmitted, NotComfyUI)
PASSING = (SupervisorTaken, WorkerIdTaken)  # another start may help


def worker(
    data_dir: DataDir = None,
    comfyui: ComfyUI = None,
    comfyui_command: ComfyUICommand = None,
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
    metrics_port: Annotated[
        int | None,
        typer.Option(help="Serve metrics for Prometheus there.", show_default="none"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run jobs on ComfyUI. `eval "$(comfyq env)"` before it joins a running `comfyq up`."""
    with readable_failures(*FAILURES, passing=PASSING):
        settings = settings_with(
            COMFYQ_DATA_DIR=data_dir,
            COMFYUI_DIR=comfyui_dir,
            COMFYQ_WORKER_ID=worker_id,
            COMFYQ_DEPTH=depth,
            COMFYQ_DRAIN_S=drain_s,
            COMFYQ_METRICS_PORT=metrics_port,
        )
        started = comfyui_command is not None
        urls = comfyui_urls(comfyui, settings, started=started) or [comfyui_of(settings)]
        _check_alone(urls, settings, started=started)
        log.configure(settings.log_level)
        warn_of_settings(settings)
        ready = partial(_print_worker, settings, urls, as_json)
        run(work_until_signal(settings, urls, ready, comfyui_command=comfyui_command))


def _print_worker(settings: Settings, urls: list[str], as_json: bool) -> None:
    if as_json:
        print_ready(comfyui=urls, data_dir=str(settings.data_dir.resolve()))
        return
    typer.echo(f"working for the {settings.backend} backend on {', '.join(urls)} until Ctrl-C")


def _check_alone(urls: list[str], settings: Settings, *, started: bool) -> None:
    """Refuse options of one ComfyUI, or of one worker, together with several."""
    if started and len(urls) > 1:
        raise CannotStart("one command starts one ComfyUI: with it, name one --comfyui")
    if settings.worker.worker_id and len(urls) > 1:
        raise CannotStart("one id is one worker's: with --worker-id, name one --comfyui")
