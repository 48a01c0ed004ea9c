"""Batches as people read them."""

from collections.abc import Sequence

import typer

from comfyq.cli.batches.results import RowResult
from comfyq.cli.batches.sending import SentBatch
from comfyq.cli.client import Json
from comfyq.cli.printing import counts_of, print_json

UNSUCCESSFUL = ("failed", "canceled")


def print_accepted(sent: SentBatch, *, as_json: bool) -> None:
    """Print a batch's id, and each row that was refused."""
    if as_json:
        print_json(sent.batch)
        return
    typer.echo(f"{sent.id or 'nothing was accepted'}: {counts_of(sent.batch)}")
    for item in sent.batch["items"]:
        if item["error"]:
            place, _ = sent.rows[item["index"]]
            typer.echo(f"{place}: {item['error']['detail']}", err=True)


def print_ended(batch: Json, results: Sequence[RowResult], *, as_json: bool) -> None:
    """Print what became of a batch: each file, and each row whose job has failed."""
    files = [file for result in results for file in result.files]
    if as_json:
        print_json(batch | {"files": files})
        return
    typer.echo(f"{batch['batch_id'] or 'nothing was accepted'}: {counts_of(batch)}", err=True)
    for result in results:
        job = (result.item or {}).get("job")
        if job and job["status"] in UNSUCCESSFUL:
            typer.echo(f"{result.place}: {job['status']}: {job['error'] or job['id']}", err=True)
    for file in files:
        typer.echo(file)
