"""Sending the rows of a file as batches: the same rows again are the same batches."""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import typer
from blake3 import blake3

from comfyq.cli.batches.requests_file import Row
from comfyq.cli.client import ApiClient, Json
from comfyq.cli.errors import CommandError, NotReached, Refused
from comfyq.domain.submission.batch import MAX_REQUESTS

MAX_BYTES = 4_000_000  # of a batch's requests, below the 6 MB that a server takes
TRIES = 3  # where nobody answers; under one key, so that nothing is made twice
LATER_TRIES = 120  # once a part was taken: a server that is started again is away for a while
PAUSE_S = 0.5
ASKED_TRIES = 20  # where the server cannot do it now, and says when it may
LONGEST_WAIT_S = 3_600  # for room; a day that is used up ends the command
UNSAID = "the server did not say what is wrong here; correct the other rows first"
FIELD = re.compile(r"requests\.(\d+)\.?(.*)")

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class SentBatch:
    """A batch as the server accepted it, and the rows that its requests have in the file."""

    rows: Sequence[Row]
    batch: Json  # as it is now, if these rows were sent before
    is_sent: bool = True  # else of rows with a file that the server does not take

    @property
    def id(self) -> str | None:
        """Return the batch's id; None if none of its requests could be run."""
        batch_id: str | None = self.batch["batch_id"]
        return batch_id


def key_of(rows: Sequence[Row]) -> str:
    """Return the idempotency key of a file: the same for the same requests in the same order."""
    requests = [request for _, request in rows]
    return blake3(json.dumps(requests, sort_keys=True).encode()).hexdigest()[:40]


def send(client: ApiClient, rows: Sequence[Row], key: str) -> Iterator[SentBatch]:
    """Send the rows in parts of MAX_REQUESTS and MAX_BYTES at most, each as one batch."""
    for number, part in enumerate(_parts(rows)):
        requests = [request for _, request in part]
        try:
            tries = LATER_TRIES if number else TRIES
            batch = _submit(client, requests, f"{key}.{number}", tries)
        except Refused as refused:
            batch = _nothing_to_run(refused, len(part))
        yield SentBatch(part, batch)


def _parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    part: list[Row] = []
    size = 0
    for row in rows:
        length = len(json.dumps(row[1]))
        if part and (len(part) == MAX_REQUESTS or size + length > MAX_BYTES):
            yield part
            part, size = [], 0
        part.append(row)
        size += length
    if part:
        yield part


def _submit(client: ApiClient, requests: Sequence[Json], key: str, tries: int) -> Json:
    def submitted() -> Json:
        batch, replayed = client.submit_batch(requests, idempotency_key=key)
        return client.patient.batch(batch["batch_id"], items=True) if replayed else batch

    return patiently(submitted, tries)


def patiently(send: Callable[[], ResultT], tries: int = TRIES) -> ResultT:
    """Send something, and again when the server says so: without an end while it only lacks
    room."""
    failures = 0
    while True:
        try:
            return send()
        except Refused as refused:
            if refused.status != 429 or not 0 < (refused.retry_after_s or 0) <= LONGEST_WAIT_S:
                raise
            _wait(refused)
        except NotReached as away:
            failures += 1
            if failures >= (tries if away.retry_after_s is None else ASKED_TRIES):
                raise
            _wait(away)


def _wait(error: CommandError) -> None:
    """Wait as long as the server has asked for, and say what for."""
    if error.retry_after_s is None:
        time.sleep(PAUSE_S)
        return
    typer.echo(f"{error}\nwaiting for {error.retry_after_s} s, then it is sent again", err=True)
    time.sleep(error.retry_after_s)


def _nothing_to_run(refused: Refused, size: int) -> Json:
    """Return the refusal of a whole batch as that of each of its requests; raises ``refused`` if
    it is another one."""
    errors = [
        (int(field[1]), field[2], each["message"])
        for each in refused.problem.get("errors", ())
        if (field := FIELD.fullmatch(each["field"]))
    ]
    if not errors:
        raise refused
    return _refused_batch(
        [_refused_item(number, _faults(errors, number)) for number in range(size)]
    )


def unsent(rows: Sequence[Row], reasons: Sequence[str]) -> SentBatch:
    """Return rows that are not sent, each for its reason, as a batch of which nothing was
    accepted."""
    faults = [[{"field": "", "message": reason}] for reason in reasons]
    items = [_refused_item(number, each) for number, each in enumerate(faults)]
    return SentBatch(rows, _refused_batch(items), is_sent=False)


def _refused_batch(items: Sequence[Json]) -> Json:
    return {"batch_id": None, "size": len(items), "done": True, "progress": 1.0} | {
        "counts": {"refused": len(items)},
        "items": items,
    }


def _faults(errors: Sequence[tuple[int, str, str]], number: int) -> Sequence[Json]:
    """Return the errors of one request, as a batch's item has them."""
    return [{"field": field or "", "message": said} for at, field, said in errors if at == number]


def _refused_item(number: int, faults: Sequence[Json]) -> Json:
    details = [": ".join(filter(None, (each["field"], each["message"]))) for each in faults]
    detail = "; ".join(details) or UNSAID
    error = {"code": "refused", "detail": detail, "errors": list(faults)}
    return {"index": number, "job": None, "error": error}
