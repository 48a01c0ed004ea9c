"""Commands that speak to a server over HTTP."""

from typing import Annotated, Literal

import typer

from comfyq.cli.client import client_at
from comfyq.cli.errors import ExitCode
from comfyq.cli.options import AsJson, JobId, Url
from comfyq.cli.outcome import exit_as
from comfyq.cli.printing import print_health, print_job, print_jobs, print_json, print_story

Status = Literal["queued", "running", "completed", "failed", "canceled"]


def status(ctx: typer.Context, job_id: JobId, url: Url = None, as_json: AsJson = False) -> None:
    """Show a job as it is now. Exit code 1 if it failed or was canceled."""
    job = client_at(ctx, url).job(job_id)
    (print_json if as_json else print_job)(job)
    exit_as(job)


def show(ctx: typer.Context, job_id: JobId, url: Url = None, as_json: AsJson = False) -> None:
    """Tell a job's story: its parameters, and who tried it, when, and with what result."""
    story = client_at(ctx, url).story(job_id)
    (print_json if as_json else print_story)(story)


def cancel(ctx: typer.Context, job_id: JobId, url: Url = None, as_json: AsJson = False) -> None:
    """Cancel a job. Doing it again, or too late, is no error."""
    job = client_at(ctx, url).cancel(job_id)
    (print_json if as_json else print_job)(job)


def listing(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    status: Annotated[Status | None, typer.Option(help="Only those.")] = None,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    page = client_at(ctx, url).jobs(limit=limit, status=status, cursor=cursor)
    (print_json if as_json else print_jobs)(page)


def health(ctx: typer.Context, url: Url = None, as_json: AsJson = False) -> None:
    """Show whether a job would run now. Exit code 1 if it would not."""
    report = client_at(ctx, url).health()
    (print_json if as_json else print_health)(report)
    if report["status"] != "healthy":
        raise typer.Exit(ExitCode.JOB_FAILED)
