"""Commands that speak to a server over HTTP."""

from typing import Annotated, Literal

import typer

from comfyq.cli.batches.printing import print_unsuccessful
from comfyq.cli.client import client_at
from comfyq.cli.errors import CannotStart, ExitCode
from comfyq.cli.options import AsJson, JobId, Url
from comfyq.cli.outcome import exit_as
from comfyq.cli.printing import (
    print_batch,
    print_batches,
    print_health,
    print_job,
    print_jobs,
    print_json,
    print_story,
)
from comfyq.cli.targets import JobOrBatchId, job_or_batch, only_job

Status = Literal["queued", "running", "completed", "failed", "canceled"]


def status(
    ctx: typer.Context, target_id: JobOrBatchId, url: Url = None, as_json: AsJson = False
) -> None:
    """Show a job or batch as it is now. Exit code 1 if one failed or was canceled."""
    client = client_at(ctx, url)
    shown, is_batch = job_or_batch(
        target_id, client.job, lambda batch_id: client.batch(batch_id, items=not as_json)
    )
    if as_json:
        print_json(shown)
    elif is_batch:
        print_batch(shown)
        print_unsuccessful(shown)
    else:
        print_job(shown)
    exit_as(shown)


def show(ctx: typer.Context, job_id: JobId, url: Url = None, as_json: AsJson = False) -> None:
    """Tell a job's story: its parameters, and who tried it, when, and with what result."""
    client = client_at(ctx, url)
    story = only_job(client, job_id, client.story, instead=f"use `comfyq status {job_id}`")
    (print_json if as_json else print_story)(story)


def cancel(
    ctx: typer.Context, target_id: JobOrBatchId, url: Url = None, as_json: AsJson = False
) -> None:
    """Cancel a job, or all of a batch. Doing it again, or too late, is no error."""
    client = client_at(ctx, url)
    shown, is_batch = job_or_batch(target_id, client.cancel, client.cancel_batch)
    if as_json:
        print_json(shown)
    else:
        (print_batch if is_batch else print_job)(shown)


def listing(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    status: Annotated[Status | None, typer.Option(help="Only those.")] = None,
    batches: Annotated[bool, typer.Option("--batches", help="List batches instead.")] = False,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first; or batches."""
    client = client_at(ctx, url)
    if batches:
        if status is not None:
            raise CannotStart("--status is of jobs; `comfyq status ID` says how far a batch is")
        page = client.batches(limit=limit, cursor=cursor)
        if as_json:
            print_json(page)
        else:
            print_batches(page, [client.batch(each["batch_id"]) for each in page["batches"]])
        return
    page = client.jobs(limit=limit, status=status, cursor=cursor)
    (print_json if as_json else print_jobs)(page)


def health(ctx: typer.Context, url: Url = None, as_json: AsJson = False) -> None:
    """Show whether a job would run now. Exit code 1 if it would not."""
    report = client_at(ctx, url).health()
    (print_json if as_json else print_health)(report)
    if report["status"] != "healthy":
        raise typer.Exit(ExitCode.JOB_FAILED)
