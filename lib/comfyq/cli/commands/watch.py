"""``comfyq watch``: the progress of a job or batch."""

import time

import typer

from comfyq.cli.client import ApiClient, Json, client_at
from comfyq.cli.options import AsJson, Url
from comfyq.cli.outcome import exit_as, follow_to_end
from comfyq.cli.printing import print_batch, print_job, print_json
from comfyq.cli.targets import JobOrBatchId, job_or_batch
from comfyq.cli.terminal.progress import shown_batch

POLL_S = 1.0


def watch(
    ctx: typer.Context, target_id: JobOrBatchId, url: Url = None, as_json: AsJson = False
) -> None:
    """Show the progress of a job or batch until it ends."""
    client = client_at(ctx, url)
    shown, is_batch = job_or_batch(target_id, client.job, client.batch)
    if is_batch:
        _watch_batch(client, shown, as_json=as_json)
        return
    end = follow_to_end(client, target_id, as_json=as_json)
    if not as_json:
        print_job(client.job(target_id))
    exit_as(end)


def _watch_batch(client: ApiClient, batch: Json, *, as_json: bool) -> None:
    with shown_batch(as_json=as_json) as show:
        show(batch)
        while not batch["done"]:
            time.sleep(POLL_S)
            batch = client.batch(batch["batch_id"])
            show(batch)
    (print_json if as_json else print_batch)(batch)
    exit_as(batch)
