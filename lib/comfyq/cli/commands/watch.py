"""``comfyq watch``: the progress of jobs and batches."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Annotated

import typer

from comfyq.cli.client import ApiClient, Json, client_at
from comfyq.cli.completion import job_or_batch_ids
from comfyq.cli.options import AsJson, Url
from comfyq.cli.outcome import exit_as, follow_to_end
from comfyq.cli.printing import print_batch, print_job, print_jobs, print_json
from comfyq.cli.progress_frames import follow_all, follow_batch
from comfyq.cli.targets import job_or_batch
from comfyq.cli.terminal.progress import shown_batch, shown_together

Ids = Annotated[
    list[str],
    typer.Argument(
        metavar="ID...", help="Ids of jobs or batches.", autocompletion=job_or_batch_ids
    ),
]


def watch(ctx: typer.Context, target_ids: Ids, url: Url = None, as_json: AsJson = False) -> None:
    """Show the progress of jobs or batches until they end, each by a bar of its own."""
    client = client_at(ctx, url)
    named = list(dict.fromkeys(target_ids))
    found = [job_or_batch(each, client.job, client.batch) for each in named]
    if len(found) > 1:
        _watch_all(client, found, as_json=as_json)
        return
    [(shown, is_batch)] = found
    if is_batch:
        _watch_batch(client, shown, as_json=as_json)
        return
    end = follow_to_end(client, shown["id"], as_json=as_json)
    if not as_json:
        print_job(client.patient.job(shown["id"]))
    exit_as(end)


def _watch_batch(client: ApiClient, batch: Json, *, as_json: bool) -> None:
    with nullcontext(print_json) if as_json else shown_batch(as_json=False) as show:
        for frame in follow_batch(client, batch["batch_id"]):
            show(frame)
    ended = client.patient.batch(batch["batch_id"])
    if not as_json:
        print_batch(ended)
    exit_as(ended)


def _watch_all(client: ApiClient, found: Sequence[tuple[Json, bool]], *, as_json: bool) -> None:
    jobs = [shown["id"] for shown, is_batch in found if not is_batch]
    batches = [shown["batch_id"] for shown, is_batch in found if is_batch]
    with shown_together(*jobs, *batches, as_json=as_json) as show:
        for frame in follow_all(client, jobs, batches):
            show(frame)
    ended = [client.patient.job(job_id) for job_id in jobs]
    done = [client.patient.batch(batch_id) for batch_id in batches]
    if not as_json and ended:
        print_jobs({"jobs": ended, "next_cursor": None})
    if not as_json:
        for batch in done:
            print_batch(batch)
    for each in [*ended, *done]:
        exit_as(each)
