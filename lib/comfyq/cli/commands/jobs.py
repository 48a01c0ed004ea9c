"""Commands that speak to a server over HTTP."""

from typing import Annotated, Literal

import typer

from comfyq.cli.batches.printing import print_unsuccessful
from comfyq.cli.client import ApiClient, client_at
from comfyq.cli.completion import batch_ids, workflow_names
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
from comfyq.cli.values.spans import time_of

Status = Literal["queued", "running", "completed", "failed", "canceled"]
OnlyLabels = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only jobs with it; repeatable.")
]
OnlyWorkflow = Annotated[
    str | None, typer.Option(help="Only jobs of it.", autocompletion=workflow_names)
]
OnlyBatch = Annotated[
    str | None,
    typer.Option(metavar="ID", help="Only this batch's jobs.", autocompletion=batch_ids),
]
Since = Annotated[
    str | None, typer.Option(metavar="TIME", help="2d, 12h or 30m ago, or 2026-11-27T10:00Z.")
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Submitted before.")]

BATCHES_ALONE = (
    "--batches goes with --limit and --cursor alone; `comfyq status ID` says how far a batch is, "
    "`comfyq list --batch ID` lists its jobs"
)


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
    workflow: OnlyWorkflow = None,
    batch: OnlyBatch = None,
    label: OnlyLabels = None,
    since: Since = None,
    until: Until = None,
    batches: Annotated[bool, typer.Option("--batches", help="List batches instead.")] = False,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first; or batches.

    A page may have fewer jobs than --limit while there are more: then it says how to go on.
    """
    client = client_at(ctx, url)
    if batches:
        if any(each is not None for each in (status, workflow, batch, label, since, until)):
            raise CannotStart(BATCHES_ALONE)
        _list_batches(client, limit=limit, cursor=cursor, as_json=as_json)
        return
    page = client.jobs(
        limit=limit,
        cursor=cursor,
        labels=label or (),
        status=status,
        workflow=workflow,
        batch=batch,
        created_after=None if since is None else time_of(since, "--since"),
        created_before=None if until is None else time_of(until, "--until"),
    )
    (print_json if as_json else print_jobs)(page)


def _list_batches(client: ApiClient, *, limit: int, cursor: str | None, as_json: bool) -> None:
    page = client.batches(limit=limit, cursor=cursor)
    if as_json:
        print_json(page)
    else:
        print_batches(page, [client.batch(each["batch_id"]) for each in page["batches"]])


def health(ctx: typer.Context, url: Url = None, as_json: AsJson = False) -> None:
    """Show whether a job would run now. Exit code 1 if it would not."""
    report = client_at(ctx, url).health()
    (print_json if as_json else print_health)(report)
    if report["status"] != "healthy":
        raise typer.Exit(ExitCode.JOB_FAILED)
