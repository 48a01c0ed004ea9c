"""``comfyq simulator``: a ComfyUI without a GPU."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from comfyq.cli.options import AsJson, Host, Port
from comfyq.cli.starting import print_ready, readable_failures
from comfyq.local.loop import run
from comfyq.local.signals import stop_event
from comfyui_simulator import Simulator, SimulatorSettings


def simulator(
    host: Host = "127.0.0.1",
    port: Port = 8188,
    generation: Annotated[
        Literal["0.3.75", "0.33.0"], typer.Option(help="The ComfyUI whose protocol it speaks.")
    ] = "0.33.0",
    data_dir: Annotated[
        Path | None, typer.Option(help="For its files; default: a temporary one.")
    ] = None,
    models_dir: Annotated[
        Path | None, typer.Option(help="ComfyUI's `models`: its files are listed, too.")
    ] = None,
    step_s: Annotated[float, typer.Option(min=0, help="Of one sampling step.")] = 0.01,
    load_s: Annotated[float, typer.Option(min=0, help="Of loading a model.")] = 0.0,
    preview_every_steps: Annotated[int, typer.Option(min=0, help="0 sends no previews.")] = 1,
    video_bytes: Annotated[int, typer.Option(min=0, help="Least size of a saved video.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Serve a ComfyUI without a GPU: same protocol, pictures that say SIMULATED."""
    settings = SimulatorSettings(
        host=host,
        port=port,
        generation=generation,
        data_dir=data_dir,
        models_dir=models_dir,
        step_s=step_s,
        load_s=load_s,
        preview_every_steps=preview_every_steps,
        video_bytes=video_bytes,
    )
    with readable_failures():
        run(_simulate(settings, as_json))


async def _simulate(settings: SimulatorSettings, as_json: bool) -> None:
    stopped = stop_event()
    async with Simulator(settings) as running:
        _print_simulator(running, as_json)
        await stopped.wait()


def _print_simulator(running: Simulator, as_json: bool) -> None:
    if as_json:
        print_ready(url=running.url, data_dir=str(running.data_dir))
        return
    typer.echo(
        f"a simulated ComfyUI {running.settings.generation} is at {running.url} until Ctrl-C"
    )
