"""``comfyq open``: what a job has made, in the program that this machine shows it with."""

import sys
from typing import Annotated

import typer

from comfyq.bootstrap.machine.output_folders import linked_file
from comfyq.cli.client import ApiClient, Json, client_at
from comfyq.cli.errors import CannotStart
from comfyq.cli.options import DataDir, JobId, Url
from comfyq.cli.starting import settings_with


def open_(
    ctx: typer.Context,
    job_id: JobId,
    index: Annotated[int, typer.Option(min=0, help="Which of its outputs.")] = 0,
    print_only: Annotated[
        bool, typer.Option("--print", help="Only print where it is; so it is without a terminal.")
    ] = False,
    data_dir: DataDir = None,
    url: Url = None,
) -> None:
    """Open a job's picture, and print where it is.

    A file of the outputs folder if the data directory's server has one, else the picture's URL.
    """
    client = client_at(ctx, url)
    job = client.job(job_id)
    file = linked_file(settings_with(COMFYQ_DATA_DIR=data_dir), job, index)
    place = _url(client, job, index) if file is None else str(file)
    typer.echo(place)
    if not print_only and sys.stdout.isatty() and typer.launch(place):
        typer.echo("no program to open it with was found", err=True)


def _url(client: ApiClient, job: Json, index: int) -> str:
    """Return the URL of an output of a job; raises CannotStart."""
    page = job
    if job.get("more_outputs") and index >= len(job["outputs"]):
        page = client.outputs(job["id"], start=index)
    for output in page["outputs"]:
        if output["index"] == index:
            return str(output["url"])
    raise CannotStart(f"job {job['id']} is {job['status']} and has no output {index}")
