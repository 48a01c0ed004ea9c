"""Batches as people read them."""

from collections.abc import Iterable, Sequence

import typer

from comfyq.cli.batches.results import RowResult
from comfyq.cli.batches.sending import SentBatch
from comfyq.cli.client import Json
from comfyq.cli.printing import counts_of, print_json
from comfyq.cli.texts.controls import visible

UNSUCCESSFUL = ("failed", "canceled")
NO_PARAMETER = "is not a parameter"  # how the server begins of a value that a workflow lacks
NO_SOURCE = "must be the id of an asset"  # of a value that names no file to it


def print_accepted(sent: SentBatch, rows: Sequence[RowResult], *, as_json: bool) -> None:
    """Print a batch's id, and each of its rows that was refused."""
    if as_json:
        print_json(sent.batch)
        return
    nothing = "nothing was accepted" if sent.is_sent else "not sent"
    typer.echo(visible(f"{sent.id or nothing}: {counts_of(sent.batch)}"))
    _print_grouped(
        (row.number, row.place, item["error"]["detail"])
        for row, item in zip(rows, sent.batch["items"], strict=True)
        if item["error"]
    )
    columns = _columns(sent.batch, NO_PARAMETER)
    if len(columns) == 1:
        [column] = columns
        typer.echo(f"if {column} is only to name files, add --name {column}", err=True)
    for column in sorted(_columns(sent.batch, NO_SOURCE)):
        typer.echo(
            f"{column}: a file of this machine is named by its path from the folder of the "
            "requests' file on; there is none of that name",
            err=True,
        )


def _columns(batch: Json, beginning: str) -> set[str]:
    """Return the columns of which the server says what begins like this."""
    return {
        fault["field"]
        for item in batch["items"]
        for fault in (item["error"] or {}).get("errors", ())
        if fault["message"].startswith(beginning)
    }


def print_unsuccessful(batch: Json) -> None:
    """Print which rows of a batch, from 1 on, failed, were canceled or were refused, and why."""
    _print_grouped(
        (item["index"], f"row {item['index'] + 1}", reason)
        for item in batch["items"] or ()
        if (reason := _failure(item))
    )


def _failure(item: Json) -> str | None:
    """Say why a request has no results and will have none; None if it may or does."""
    job = item["job"]
    if job is None:
        return str(item["error"]["detail"]) if item["error"] else None
    if job["status"] not in UNSUCCESSFUL:
        return None
    return f"{job['status']}: {job['error']}" if job["error"] else str(job["status"])


def print_ended(batch: Json, results: Sequence[RowResult], *, as_json: bool) -> None:
    """Print what became of a batch: each file, and each row whose job has failed."""
    files = [file for result in results for file in result.files]
    if as_json:
        print_json(batch | {"files": files})
        return
    if batch["batch_id"] is not None:  # else it was said as it was sent
        typer.echo(visible(f"{batch['batch_id']}: {counts_of(batch)}"), err=True)
    _print_grouped(
        (result.number, result.place, f"{job['status']}: {job['error'] or job['id']}")
        for result in results
        if (job := (result.item or {}).get("job")) and job["status"] in UNSUCCESSFUL
    )
    for file in files:
        typer.echo(file)


def _print_grouped(said: Iterable[tuple[int, str, str]]) -> None:
    """Print each message once, after the places of all the rows that it is of; each row is its
    number, its place and its message."""
    groups: dict[str, list[tuple[int, str]]] = {}
    for number, place, message in said:
        groups.setdefault(message, []).append((number, place))
    for message, rows in groups.items():
        typer.echo(f"{_places(rows)}: {visible(message)}", err=True)


def _places(rows: Sequence[tuple[int, str]]) -> str:
    """Name rows by their places: ``lines 2-4, 9`` for rows that follow each other and one more."""
    runs: list[list[str]] = []
    before: int | None = None
    for number, place in rows:
        at = place.rpartition(" ")[2]
        if before is not None and number == before + 1:
            runs[-1][1:] = [at]
        else:
            runs.append([at])
        before = number
    word = rows[0][1].rpartition(" ")[0]
    return f"{word}{'s' * (len(rows) > 1)} {', '.join('-'.join(run) for run in runs)}"
