"""``comfyq watch``: a job's progress."""

import typer

from comfyq.cli.client import client_at
from comfyq.cli.options import AsJson, JobId, Url
from comfyq.cli.outcome import exit_as, follow_to_end
from comfyq.cli.printing import print_job


def watch(ctx: typer.Context, job_id: JobId, url: Url = None, as_json: AsJson = False) -> None:
    """Show a job's progress until it ends."""
    client = client_at(ctx, url)
    end = follow_to_end(client, job_id, as_json=as_json)
    if not as_json:
        print_job(client.job(job_id))
    exit_as(end)
