"""Seeing a job through to its end, and the exit code that it deserves."""

import os
import sys
from pathlib import Path

import typer

from comfyq.cli.client import ApiClient, Json
from comfyq.cli.errors import ExitCode
from comfyq.cli.printing import print_job, print_json
from comfyq.cli.progress_frames import follow
from comfyq.cli.terminal.pictures import drawer
from comfyq.cli.terminal.progress import shown_frames
from comfyq.cli.texts.controls import visible
from comfyq.client.flows.following import has_ended

GOES_ON = "job {0} goes on: `comfyq watch {0}` follows it, `comfyq download {0}` fetches its files"


def print_submitted(job: Json, *, as_json: bool, wait: bool) -> None:
    if as_json:
        print_json(job)
        return
    for warning in job["warnings"]:
        typer.echo(f"warning: {visible(warning)}", err=True)
    if job.get("reused_from"):
        typer.echo(f"it has the outputs of {job['reused_from']}", err=True)
    typer.echo(visible(job["id"]), err=wait)


def see_through(client: ApiClient, job: Json, folder: Path, *, as_json: bool) -> None:
    """Follow a job and fetch what it makes."""
    try:
        follow_to_end(client, job["id"], as_json=as_json)
    except KeyboardInterrupt:
        typer.echo(visible(GOES_ON.format(job["id"])), err=True)
        raise
    ended = client.patient.job(job["id"])
    files = [str(file) for file in client.patient.download(ended, folder)]
    if as_json:
        print_json(ended | {"files": files})
    elif files:
        if ended.get("simulated"):
            typer.echo("simulated: a simulator of ComfyUI made this, no picture is real", err=True)
        typer.echo("\n".join(files))
    else:
        print_job(ended)
    exit_as(ended)


def follow_to_end(client: ApiClient, job_id: str, *, as_json: bool) -> Json:
    """Show each frame; the last one."""
    frame: Json = {}
    draw = None
    if sys.stderr.isatty() and not as_json:
        draw = drawer(os.environ)  # noqa: TID251 - what the terminal says of itself
    with shown_frames(as_json=as_json, draw=draw) as show_frame:
        for frame in follow(client, job_id, previews=draw is not None):
            show_frame(frame)
    return frame


def exit_as(ended: Json) -> None:
    """Exit with 1 for a job, or a batch with a request, that failed, was canceled or refused."""
    counts = ended.get("counts")
    if counts is None:
        has_failed = has_ended(ended) and ended["status"] != "completed"
    else:
        has_failed = any(counts.get(where) for where in ("refused", "failed", "canceled", "gone"))
    if has_failed:
        raise typer.Exit(ExitCode.JOB_FAILED)
