"""``comfyq batch``: many requests from a file."""

import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from comfyq.cli.batch_file import read_requests
from comfyq.cli.client import ApiClient, Json, client_at
from comfyq.cli.downloading import download_outputs
from comfyq.cli.errors import ExitCode, NotReached
from comfyq.cli.options import AsJson, Url
from comfyq.cli.printing import print_json

MAX_REQUESTS = 100  # of a batch; a longer file makes several
TRIES = 3  # under one key, so that nothing is made twice
POLL_S = 0.5


def batch(
    ctx: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(help="JSON Lines, one request a line; or .csv, one parameter a column."),
    ],
    wait: Annotated[
        bool | None, typer.Option("--wait/--no-wait", help="Until all have ended; fetch outputs.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where outputs go; implies --wait.", show_default=".")
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same file again under it makes nothing twice.")
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Submit each request of a file. One that cannot be run does not sink the others.

    Exit code 1 if one was refused or, with --wait, failed or was canceled.
    """
    client = client_at(ctx, url)
    rows = read_requests(file, cache(lambda name: client.workflow(name)["parameters"]))
    places = [place for place, _ in rows]
    requests = [request for _, request in rows]
    batches: list[Json] = []
    for accepted in _submitted(client, requests, idempotency_key or str(uuid4())):
        _show(accepted, places[MAX_REQUESTS * len(batches) :], as_json=as_json)
        batches.append(accepted)
    if wait or (wait is None and out is not None):
        batches = [
            _see_through(client, each, places[MAX_REQUESTS * n :], out or Path(), as_json=as_json)
            for n, each in enumerate(batches)
        ]
    if any(_went_wrong(each) for each in batches):
        raise typer.Exit(ExitCode.JOB_FAILED)


def _submitted(client: ApiClient, requests: Sequence[Any], key: str) -> Iterator[Json]:
    for at in range(0, len(requests), MAX_REQUESTS):
        part = requests[at : at + MAX_REQUESTS]
        yield _submit(client, part, f"{key}.{at // MAX_REQUESTS}")


def _submit(client: ApiClient, requests: Sequence[Any], key: str) -> Json:
    for left in reversed(range(TRIES)):
        try:
            return client.submit_batch(requests, idempotency_key=key)
        except NotReached:
            if not left:
                raise
            time.sleep(POLL_S)
    raise AssertionError("the last try returns or raises")


def _see_through(
    client: ApiClient, batch: Json, places: Sequence[str], folder: Path, *, as_json: bool
) -> Json:
    """Wait until a batch has ended and fetch what it made."""
    while not batch["done"]:
        time.sleep(POLL_S)
        batch = client.batch(batch["batch_id"])
        if not as_json:
            typer.echo(f"{batch['batch_id']} {batch['progress']:.0%}", err=True)
    jobs = [item["job"] for item in batch["items"] if item["job"]]
    files = [str(file) for job in jobs for file in download_outputs(client, job, folder)]
    _show(batch | {"files": files}, places, as_json=as_json)
    return batch


def _show(batch: Json, places: Sequence[str], *, as_json: bool) -> None:
    """Print a batch whose requests begin with those at ``places`` of the file."""
    if as_json:
        print_json(batch)
        return
    counts = ", ".join(f"{count} {where}" for where, count in batch["counts"].items() if count)
    typer.echo(f"{batch['batch_id']}: {counts}")
    for item in batch["items"]:
        if item["error"]:
            typer.echo(f"{places[item['index']]}: {item['error']['detail']}", err=True)
    for file in batch.get("files", ()):
        typer.echo(file)


def _went_wrong(batch: Json) -> bool:
    counts = batch["counts"]
    return any(counts[where] for where in ("refused", "failed", "canceled", "gone"))
