"""``comfyq open``: what a job has made, in the program that this machine shows it with."""

import sys
from typing import Annotated

import typer

from comfyq.cli.client import ApiClient, Json, client_at
from comfyq.cli.errors import CannotStart
from comfyq.cli.options import JobId, Url


def open_(
    ctx: typer.Context,
    job_id: JobId,
    index: Annotated[int, typer.Option(min=0, help="Which of its outputs.")] = 0,
    print_only: Annotated[
        bool, typer.Option("--print", help="Only print where it is; so it is without a terminal.")
    ] = False,
    url: Url = None,
) -> None:
    """Open a job's picture, and print where it is."""
    place = _output(client_at(ctx, url), job_id, index)["url"]
    typer.echo(place)
    if not print_only and sys.stdout.isatty() and typer.launch(place):
        typer.echo("no program to open it with was found", err=True)


def _output(client: ApiClient, job_id: str, index: int) -> Json:
    """Return one output of a job; raises CannotStart."""
    job = client.job(job_id)
    page = job
    if job.get("more_outputs") and index >= len(job["outputs"]):
        page = client.outputs(job_id, start=index)
    for output in page["outputs"]:
        if output["index"] == index:
            return dict(output)
    raise CannotStart(f"job {job_id} is {job['status']} and has no output {index}")
