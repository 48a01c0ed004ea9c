"""``comfyq download``: the files of a job or batch that was sent before."""

from pathlib import Path
from typing import Annotated

import typer

from comfyq.cli.client import ApiClient, Json, client_at
from comfyq.cli.errors import CannotStart
from comfyq.cli.options import AsJson, Url
from comfyq.cli.printing import counts_of, print_json
from comfyq.cli.targets import JobOrBatchId, job_or_batch


def download(
    ctx: typer.Context,
    target_id: JobOrBatchId,
    out: Annotated[Path, typer.Option(help="Where files go.", show_default=".")] = Path(),
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Fetch the files of a job, or of those jobs of a batch that have completed.

    Files that are there already are not fetched again. Those of a batch are named by the numbers of
    its requests, from 1 on; those of a retry by the numbers in the batch that it tries again.
    """
    client = client_at(ctx, url)
    made, is_batch = job_or_batch(
        target_id, client.job, lambda batch_id: client.batch(batch_id, items=True)
    )
    files = _of_batch(client, made, out) if is_batch else _of_job(client, made, out)
    if as_json:
        print_json(made | {"files": files})
        return
    for file in files:
        typer.echo(file)
    if is_batch and not made["done"]:
        typer.echo(f"{target_id} goes on: {counts_of(made)}", err=True)


def _of_job(client: ApiClient, job: Json, folder: Path) -> list[str]:
    if job["status"] != "completed":
        raise CannotStart(f"job {job['id']} is {job['status']}; only a completed one has files")
    return [str(file) for file in client.download(job, folder)]


def _of_batch(client: ApiClient, batch: Json, folder: Path) -> list[str]:
    width = len(str((batch.get("retry_of") or batch)["size"]))
    files: list[str] = []
    for item in batch["items"]:
        if item["job"] is not None and item["job"]["status"] == "completed":
            original = item.get("original_index")
            index = item["index"] if original is None else original
            name = str(index + 1).zfill(width)
            made = client.download(item["job"], folder, name=name)
            files += [str(file) for file in made]
    return files
