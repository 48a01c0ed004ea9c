"""``comfyq delete``: jobs and their files."""

from typing import Annotated

import typer

from comfyq.cli.client import ApiClient, client_at
from comfyq.cli.errors import Refused
from comfyq.cli.following import follow
from comfyq.cli.options import Url
from comfyq.cli.targets import only_job

OF_BATCHES = "`comfyq cancel {0}` stops its jobs; delete them by their own ids"

JobIds = Annotated[list[str], typer.Argument(metavar="ID...", help="The jobs' ids.")]


def delete(ctx: typer.Context, job_ids: JobIds, url: Url = None) -> None:
    """Delete jobs with their files. One that has not ended is canceled first."""
    client = client_at(ctx, url)
    reused = [job_id for job_id in job_ids if not _deleted(client, job_id)]
    for job_id in reused:  # those that have their files may be gone now
        _delete(client, job_id)
        typer.echo(f"deleted {job_id}")


def _deleted(client: ApiClient, job_id: str) -> bool:
    """Delete a job; return False if other jobs have its files."""
    try:
        _delete(client, job_id)
    except Refused as refused:
        if refused.problem.get("code") != "job-reused":
            raise
        return False
    typer.echo(f"deleted {job_id}")
    return True


def _delete(client: ApiClient, job_id: str) -> None:
    try:
        only_job(client, job_id, client.purge, instead=OF_BATCHES.format(job_id))
    except Refused as refused:
        if refused.problem.get("code") != "job-not-ended":
            raise
        for _ in follow(client, job_id):
            continue  # until its worker has stopped it
        client.purge(job_id)
