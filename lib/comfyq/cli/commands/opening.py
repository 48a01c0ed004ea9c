"""``comfyq open``: what a job has made, in the program that this machine shows it with."""

import sys
from functools import partial
from typing import Annotated

import typer

from comfyq.bootstrap.machine.data_check import has_data
from comfyq.bootstrap.machine.output_folders import linked_file
from comfyq.cli.client import ApiClient, Json, client_at
from comfyq.cli.errors import CannotStart
from comfyq.cli.options import AsJson, DataDir, Url
from comfyq.cli.printing import print_json
from comfyq.cli.starting import settings_with
from comfyq.cli.targets import JobOrBatchId, job_or_batch


def open_(
    ctx: typer.Context,
    target_id: JobOrBatchId,
    index: Annotated[int, typer.Option(min=0, help="Which of its outputs.")] = 0,
    print_only: Annotated[
        bool,
        typer.Option(
            "--print", help="Only print where it is, as it is without a terminal or with --json."
        ),
    ] = False,
    data_dir: DataDir = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Open a job's picture, or the first of a batch, and print where it is.

    A file of the outputs folder if the data directory's server has one, else the picture's URL.
    """
    settings = settings_with(COMFYQ_DATA_DIR=data_dir)
    if data_dir is not None and not has_data(settings):
        raise CannotStart(
            f"{data_dir} has no data of comfyq: name the data directory of the server, or leave "
            "--data-dir out to open the picture's URL"
        )
    client = client_at(ctx, url)
    job = job_or_batch(target_id, client.job, partial(_first, client))[0]
    file = linked_file(settings, job, index)
    place = _url(client, job, index) if file is None else str(file)
    if as_json:
        print_json({"job": job["id"], "index": index, "place": place})
    else:
        typer.echo(place)
    is_shown = not print_only and not as_json and sys.stdout.isatty()
    # what a server tells must not make this machine's programs open something else
    is_safe = file is not None or place.startswith(("http://", "https://"))
    if is_shown and is_safe and typer.launch(place):
        typer.echo("no program to open it with was found", err=True)


def _first(client: ApiClient, batch_id: str) -> Json:
    """Return the first job of a batch that has results; raises CannotStart."""
    for item in client.batch(batch_id, items=True)["items"]:
        job: Json | None = item["job"]
        if job is not None and job["outputs"]:
            typer.echo(
                f"{batch_id} is a batch; this is of row {item['index'] + 1}, job {job['id']}. "
                f"`comfyq download {batch_id}` fetches all files.",
                err=True,
            )
            return job
    raise CannotStart(
        f"{batch_id} is a batch, none of whose jobs has results; `comfyq status {batch_id}`"
    )


def _url(client: ApiClient, job: Json, index: int) -> str:
    """Return the URL of an output of a job; raises CannotStart."""
    page = job
    if job.get("more_outputs") and index >= len(job["outputs"]):
        page = client.outputs(job["id"], start=index)
    for output in page["outputs"]:
        if output["index"] == index:
            return str(output["url"])
    raise CannotStart(f"job {job['id']} is {job['status']} and has no output {index}")
