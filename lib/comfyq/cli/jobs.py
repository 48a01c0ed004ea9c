"""Commands that speak to a server over HTTP."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from comfyq.cli.errors import ExitCode
from comfyq.cli.options import AsJson, JobId, Url, client_at

if TYPE_CHECKING:
    from comfyq.cli.client import Client, Json

Status = Literal["queued", "running", "completed", "failed", "canceled"]
Lora = Annotated[
    list[str] | None, typer.Option("--lora", metavar="NAME:STRENGTH", help="Repeatable.")
]


def submit(
    ctx: typer.Context,
    prompt: Annotated[str, typer.Argument(help="What the picture shows.")],
    workflow: Annotated[str | None, typer.Option(show_default="flux-dev")] = None,
    width: Annotated[int | None, typer.Option(help="Pixels, a multiple of 16.")] = None,
    height: Annotated[int | None, typer.Option(help="Pixels, a multiple of 16.")] = None,
    steps: Annotated[int | None, typer.Option(help="Sampling steps.")] = None,
    cfg: Annotated[float | None, typer.Option(help="How hard to follow the prompt.")] = None,
    seed: Annotated[int | None, typer.Option(help="-1 draws one.")] = None,
    negative_prompt: Annotated[str | None, typer.Option(help="What it does not show.")] = None,
    sampler: Annotated[str | None, typer.Option(help="ComfyUI's sampler.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="ComfyUI's noise schedule.")] = None,
    lora: Lora = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same key again gives the first answer.")
    ] = None,
    wait: Annotated[
        bool | None, typer.Option("--wait/--no-wait", help="Follow it, and fetch the outputs.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where outputs go; implies --wait.", show_default=".")
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Submit a generation. With --wait, show its progress and fetch what it makes.

    With --wait --json: the job, its progress frames, and the ended job with its `files`, one a
    line.
    """
    request: dict[str, Any] = {"prompt": prompt, "workflow": workflow, "seed": seed, "loras": lora}
    request |= {"width": width, "height": height, "steps": steps, "cfg": cfg}
    request |= {"negative_prompt": negative_prompt, "sampler": sampler, "scheduler": scheduler}
    given = {name: value for name, value in request.items() if value is not None}
    client = client_at(ctx, url)
    job = client.submit(given, idempotency_key=idempotency_key)
    waits = out is not None if wait is None else wait
    _print_submitted(job, as_json=as_json, wait=waits)
    if waits:
        _see_through(client, job, out or Path(), as_json=as_json)


def watch(ctx: typer.Context, job_id: JobId, url: Url = None, as_json: AsJson = False) -> None:
    """Show a job's progress until it ends."""
    from comfyq.cli.printing import print_job

    client = client_at(ctx, url)
    end = _follow(client, job_id, as_json=as_json)
    if not as_json:
        print_job(client.job(job_id))
    _exit_as(end)


def status(ctx: typer.Context, job_id: JobId, url: Url = None, as_json: AsJson = False) -> None:
    """Show a job as it is now. Exit code 1 if it failed or was canceled."""
    from comfyq.cli.printing import print_job
    from comfyq.cli.progress import print_json

    job = client_at(ctx, url).job(job_id)
    (print_json if as_json else print_job)(job)
    _exit_as(job)


def show(ctx: typer.Context, job_id: JobId, url: Url = None, as_json: AsJson = False) -> None:
    """Tell a job's story: its parameters, and who tried it, when, and with what result."""
    from comfyq.cli.printing import print_story
    from comfyq.cli.progress import print_json

    story = client_at(ctx, url).story(job_id)
    (print_json if as_json else print_story)(story)


def cancel(ctx: typer.Context, job_id: JobId, url: Url = None, as_json: AsJson = False) -> None:
    """Cancel a job. Doing it again, or too late, is no error."""
    from comfyq.cli.printing import print_job
    from comfyq.cli.progress import print_json

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
    from comfyq.cli.printing import print_jobs
    from comfyq.cli.progress import print_json

    page = client_at(ctx, url).jobs(limit=limit, status=status, cursor=cursor)
    (print_json if as_json else print_jobs)(page)


def health(ctx: typer.Context, url: Url = None, as_json: AsJson = False) -> None:
    """Show whether a job would run now. Exit code 1 if it would not."""
    from comfyq.cli.printing import print_health
    from comfyq.cli.progress import print_json

    report = client_at(ctx, url).health()
    (print_json if as_json else print_health)(report)
    if report["status"] != "healthy":
        raise typer.Exit(ExitCode.JOB_FAILED)


def _print_submitted(job: "Json", *, as_json: bool, wait: bool) -> None:
    from comfyq.cli.progress import print_json

    if as_json:
        print_json(job)
        return
    for warning in job["warnings"]:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(job["id"], err=wait)


def _see_through(client: "Client", job: "Json", folder: Path, *, as_json: bool) -> None:
    from comfyq.cli.downloading import download_outputs
    from comfyq.cli.printing import print_job
    from comfyq.cli.progress import print_json

    _follow(client, job["id"], as_json=as_json)
    ended = client.job(job["id"])
    files = [str(file) for file in download_outputs(client, ended, folder)]
    if as_json:
        print_json(ended | {"files": files})
    elif files:
        typer.echo("\n".join(files))
    else:
        print_job(ended)
    _exit_as(ended)


def _follow(client: "Client", job_id: str, *, as_json: bool) -> "Json":
    """Show each frame; the last one."""
    from comfyq.cli.following import follow
    from comfyq.cli.progress import shown_frames

    frame: Json = {}
    with shown_frames(as_json=as_json) as show_frame:
        for frame in follow(client, job_id):
            show_frame(frame)
    return frame


def _exit_as(job: "Json") -> None:
    if job["status"] in ("failed", "canceled"):
        raise typer.Exit(ExitCode.JOB_FAILED)
