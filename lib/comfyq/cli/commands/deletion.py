"""``comfyq delete``: jobs and their files."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import typer

from comfyq.cli.client import ApiClient, client_at
from comfyq.cli.completion import job_or_batch_ids
from comfyq.cli.errors import Refused
from comfyq.cli.options import AsJson, Url
from comfyq.cli.printing import print_json
from comfyq.cli.progress_frames import follow
from comfyq.cli.targets import job_or_batch

Ids = Annotated[
    list[str],
    typer.Argument(
        metavar="ID...", help="Ids of jobs or batches.", autocompletion=job_or_batch_ids
    ),
]


def delete(ctx: typer.Context, target_ids: Ids, url: Url = None, as_json: AsJson = False) -> None:
    """Delete jobs, or a batch of them, with their files. What has not ended is canceled first."""
    client = client_at(ctx, url)
    say = _say_json if as_json else _say
    reused = [target_id for target_id in target_ids if not _deleted(client, target_id, say)]
    for target_id in reused:  # those that have their files may be gone now
        say(_delete(client, target_id))


@dataclass(frozen=True, slots=True)
class Deleted:
    """A deleted job, or a batch and how many of its jobs were deleted."""

    id: str
    jobs: int | None = None


def _say_json(deleted: Deleted) -> None:
    """Print one object a line: what comes later may fail."""
    kind = {"job": deleted.id} if deleted.jobs is None else {"batch": deleted.id}
    print_json(kind | {"deleted_jobs": 1 if deleted.jobs is None else deleted.jobs})


def _say(deleted: Deleted) -> None:
    count = deleted.jobs
    if count is None:
        typer.echo(f"deleted {deleted.id}")
        return
    done = f"deleted {count} {'job' if count == 1 else 'jobs'} of" if count else "no job is left of"
    typer.echo(f"{done} batch {deleted.id}; `comfyq list --batches` shows it until it expires")


def _deleted(client: ApiClient, target_id: str, say: Callable[[Deleted], None]) -> bool:
    """Delete a job or batch; return False if other jobs have files of it."""
    try:
        say(_delete(client, target_id))
    except Refused as refused:
        if refused.problem.get("code") != "job-reused":
            raise
        return False
    return True


def _delete(client: ApiClient, target_id: str) -> Deleted:
    return job_or_batch(target_id, partial(_job, client), partial(_batch, client))[0]


def _job(client: ApiClient, job_id: str) -> Deleted:
    try:
        client.purge(job_id)
    except Refused as refused:
        if refused.problem.get("code") != "job-not-ended":
            raise
        for _ in follow(client, job_id):
            continue  # until its worker has stopped it
        client.purge(job_id)
    return Deleted(job_id)


def _batch(client: ApiClient, batch_id: str) -> Deleted:
    """Delete every job of a batch and those that tried them again; the batch stays listed without
    them until it expires."""
    client.cancel_batch(batch_id)  # all at once: one after another, each would have begun
    deleted: set[str] = set()
    # A batch shows the newest retry of a job: once that is gone, the one before it.
    while job_ids := [each for each in _jobs_of(client, batch_id) if each not in deleted]:
        reused = [job_id for job_id in job_ids if not _is_gone(client, job_id)]
        for job_id in reused:
            _job(client, job_id)
        deleted.update(job_ids)
    return Deleted(batch_id, len(deleted))


def _jobs_of(client: ApiClient, batch_id: str) -> list[str]:
    items = client.batch(batch_id, items=True)["items"]
    return [item["job"]["id"] for item in items if item["job"] is not None]


def _is_gone(client: ApiClient, job_id: str) -> bool:
    """Delete a job unless it is not there any more; return False if other jobs have its files."""
    try:
        _job(client, job_id)
    except Refused as refused:
        if refused.problem.get("code") not in ("job-not-found", "job-reused"):
            raise
        return refused.problem.get("code") == "job-not-found"
    return True
