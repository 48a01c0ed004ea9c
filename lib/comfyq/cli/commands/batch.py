"""``comfyq batch``: many requests from a file."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from comfyq.cli.batches.files import with_stored_files
from comfyq.cli.batches.printing import print_accepted, print_ended
from comfyq.cli.batches.requests_file import (
    Row,
    Schema,
    labeled,
    read_requests,
    without_names,
)
from comfyq.cli.batches.results import RowResult, fetch_batch, kept_table, named_rows, write_table
from comfyq.cli.batches.sending import SentBatch, key_of, patiently, send, unsent
from comfyq.cli.client import ApiClient, Json, client_at
from comfyq.cli.errors import Refused
from comfyq.cli.options import AsJson, LabelOptions, Priority, Url, Webhook, WebhookEvents
from comfyq.cli.outcome import exit_as
from comfyq.cli.sources import source_of
from comfyq.cli.terminal.progress import shown_batch
from comfyq.cli.values.labels import labels_given
from comfyq.cli.values.webhooks import webhook_given, with_webhook

UNKNOWN: Schema = {"properties": {}}

RequestsFile = Annotated[
    Path, typer.Argument(help="JSON Lines, one request a line; or .csv, one parameter a column.")
]
Wait = Annotated[
    bool | None, typer.Option("--wait/--no-wait", help="Until all have ended; fetch outputs.")
]
Out = Annotated[
    Path | None, typer.Option(help="Where outputs go; implies --wait.", show_default=".")
]
NameColumn = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Name files by this value, not by the row's number. It "
        "is not sent where the workflow has no such value.",
    ),
]
New = Annotated[
    bool, typer.Option("--new", help="Make new jobs, also if the same file was sent before.")
]
Key = Annotated[str | None, typer.Option(help="Instead of one that follows from the requests.")]


def batch(
    ctx: typer.Context,
    file: RequestsFile,
    wait: Wait = None,
    out: Out = None,
    name: NameColumn = None,
    label: LabelOptions = None,
    new: New = False,
    priority: Priority = None,
    webhook: Webhook = None,
    webhook_event: WebhookEvents = None,
    idempotency_key: Key = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Submit each request of a file. One that cannot be run does not sink the others.

    With --wait, files are fetched as their jobs end, and FILE.results.csv beside them says what
    became of each row. After Ctrl-C the same call goes on: for a day, the same requests are the
    same batch, and what was fetched is not fetched again.

    Other labels (--label, or columns called label.NAME) or another webhook make it another batch.

    Paths of pictures, videos and sounds begin at FILE's folder, and are uploaded; a row with one
    that is refused is left out. What jobs make is named by the row's number, from 1 on.

    Exit code 1 if one was refused, failed or was canceled; without --wait, as far as is known.
    """
    client = client_at(ctx, url)
    read = _read(client, file, name, priority, labels_given(label))
    rows = with_webhook(read.rows, webhook_given(webhook, webhook_event))
    key = idempotency_key or (str(uuid4()) if new else key_of(rows))
    sent = list(_sent(client, rows, key, read, as_json=as_json))
    if wait or (wait is None and out is not None):
        table = (out or Path()) / f"{file.stem}.results.csv"
        ended = _see_through(client, sent, read, table, as_json=as_json)
    else:
        ended = [each.batch for each in sent]
    for made in ended:
        exit_as(made)


def _sent(
    client: ApiClient, rows: Sequence[Row], key: str, read: "_Read", *, as_json: bool
) -> Iterator[SentBatch]:
    """Send the rows, and print each batch as it is accepted."""
    for each, own in _parts(chain(send(client, rows, key), read.unsent), read.as_sent):
        print_accepted(each, own, as_json=as_json)
        yield each


@dataclass(frozen=True, slots=True)
class _Read:
    """A file's rows: those to send, those with a file that the server does not take as a batch of
    their own, and the place of what becomes of each: as the file has them, and as they are sent."""

    rows: Sequence[Row]
    unsent: Sequence[SentBatch]
    results: Sequence[RowResult]
    as_sent: Sequence[RowResult]


def _read(
    client: ApiClient,
    file: Path,
    name: str | None,
    priority: int | None,
    labels: Mapping[str, str],
) -> _Read:
    """Read the rows of a file as they are sent."""
    schema_of = cache(lambda workflow: _schema(client, workflow))
    rows = read_requests(file, schema_of)
    if priority is not None:
        rows = [(place, {"priority": priority} | request) for place, request in rows]
    sent = labeled(without_names(rows, name, schema_of), labels)
    results = named_rows(rows, name)
    stored = with_stored_files(
        sent,
        file.parent,
        schema_of,
        lambda path: patiently(lambda: source_of(client, str(path))),
    )
    refused = {index: each for index, each in enumerate(stored) if isinstance(each, str)}
    not_sent = unsent([rows[index] for index in refused], list(refused.values()))
    return _Read(
        rows=[each for each in stored if not isinstance(each, str)],
        unsent=[not_sent] if refused else [],
        results=results,
        as_sent=sorted(results, key=lambda result: result.number - 1 in refused),
    )


def _schema(client: ApiClient, workflow: str) -> Schema:
    """Return the schema of a workflow's values; that of one that does not exist has none, because
    the server says so for its rows alone."""
    try:
        parameters: Schema = client.workflow(workflow)["parameters"]
    except Refused as refused:
        if refused.status != 404:
            raise
        return UNKNOWN
    return parameters


def _see_through(
    client: ApiClient,
    sent: Sequence[SentBatch],
    read: _Read,
    table: Path,
    *,
    as_json: bool,
) -> list[Json]:
    """Wait until all batches have ended and fetch what they make; ``table`` is written meanwhile
    too, so that who interrupts it has what is known."""
    parts, results = list(_parts(sent, read.as_sent)), read.results
    for each, own in parts:
        for result, item in zip(own, each.batch["items"], strict=True):
            result.item = item
    is_kept = table.exists() and not any(each.id for each in sent)  # it is of an earlier run
    if not is_kept:
        write_table(table, results)
    ended: list[Json] = []
    for each, own in parts:
        summary = each.batch
        if each.id is not None:
            with kept_table(table, results), shown_batch(as_json=as_json) as show:
                for summary in fetch_batch(client, each.id, own, table.parent):
                    show(summary)
                    write_table(table, results)
        whole = summary | {"items": [result.item for result in own]}
        print_ended(whole, own, as_json=as_json)
        ended.append(whole)
    if not as_json:
        told = "kept, since nothing was accepted" if is_kept else "what became of each row"
        typer.echo(f"{table}: {told}", err=True)
    return ended


def _parts(
    sent: Iterable[SentBatch], results: Sequence[RowResult]
) -> Iterator[tuple[SentBatch, Sequence[RowResult]]]:
    begin = 0
    for each in sent:
        yield each, results[begin : begin + len(each.rows)]
        begin += len(each.rows)
