"""``comfyq demo``: the whole system for one picture, and how long each part of it took."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Annotated

import typer
from anyio.from_thread import start_blocking_portal

from comfyq.aio.logs import log
from comfyq.cli.client import ApiClient, Json
from comfyq.cli.errors import ExitCode
from comfyq.cli.progress_frames import follow
from comfyq.cli.starting import readable_failures, settings_with
from comfyq.cli.terminal.progress import shown_frames
from comfyq.local.up import Up, UpOptions, running
from comfyui_simulator import Simulator, SimulatorSettings

PROMPT = "a lighthouse on a cliff at dusk, waves below, the first stars"
STEP_S = 0.05  # slow enough to see the bar move


def demo(
    out: Annotated[Path, typer.Option(help="Where the picture goes.")] = Path("out"),
    prompt: Annotated[str, typer.Option(help="What it shows.")] = PROMPT,
    width: Annotated[int, typer.Option(help="Pixels, a multiple of 16.")] = 512,
    height: Annotated[int, typer.Option(help="Pixels, a multiple of 16.")] = 512,
) -> None:
    """Start everything on free ports, make one simulated picture, and stop everything."""
    began = monotonic()
    with readable_failures(), _system() as up, _client(up.url) as client:
        start_s = monotonic() - began
        typer.echo(f"everything runs at {up.url}, with a simulated ComfyUI")
        request = {"prompt": prompt, "width": width, "height": height}
        _make_picture(client, request, out, start_s)


@contextmanager
def _system() -> Iterator[Up]:
    """A whole system in threads of this process, so nothing can outlive it."""
    log.configure("warning")
    with TemporaryDirectory(prefix="comfyq-demo-") as folder, start_blocking_portal() as portal:
        settings = settings_with(COMFYQ_DATA_DIR=folder, COMFYQ_BACKEND="embedded")
        simulator = Simulator(SimulatorSettings(step_s=STEP_S))
        with portal.wrap_async_context_manager(simulator):
            options = UpOptions(port=0, comfyui=[simulator.url])
            with portal.wrap_async_context_manager(running(settings, options)) as up:
                yield up


def _client(url: str) -> AbstractContextManager[ApiClient]:
    return closing(ApiClient(url))


def _make_picture(client: ApiClient, request: Json, out: Path, start_s: float) -> None:
    job_id: str = client.submit(request)["id"]
    with shown_frames(as_json=False) as show:
        for frame in follow(client, job_id):
            show(frame)
    job = client.job(job_id)
    if job["status"] != "completed":
        typer.echo(f"job {job_id} {job['status']}: {job['error']}", err=True)
        raise typer.Exit(ExitCode.JOB_FAILED)
    rendered = monotonic()
    files = client.download(job, out)
    phases = {
        "start": start_s,
        "queued": _between(job["created_at"], job["started_at"]),
        "render": _between(job["started_at"], job["ended_at"]),
        "download": monotonic() - rendered,
    }
    typer.echo(f"job      {job_id}")
    typer.echo(f"picture  {', '.join(map(str, files))}")
    typer.echo("took     " + ", ".join(f"{name} {took:.2f} s" for name, took in phases.items()))


def _between(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
