"""Results of a batch's rows: their files, fetched as their jobs end, and a table of them.

Files that are there already, as their hashes say, are not fetched again: after an interruption,
fetching goes on where it was.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import typer

from comfyq.cli.batches.requests_file import Row
from comfyq.cli.client import ApiClient, Json
from comfyq.cli.errors import CannotStart
from comfyq.client.flows.following import has_ended

MAX_NAME_CHARS = 80
MAX_NAME_BYTES = 120  # a file system has room for 255 beside a job's id, a number and a suffix
NOT_IN_NAMES = re.compile(r"[^\w.-]+")
COLUMNS = ("row", "line", "job", "status", "files", "error")


@dataclass(slots=True)
class RowResult:
    """A row's job, error and files; ``name`` begins the names of its files.

    Rows are numbered from 1 on, without empty lines; ``place`` is where the file has it.
    """

    number: int
    place: str
    name: str
    item: Json | None = None
    files: list[str] = field(default_factory=list)
    fetched: str | None = None  # the job whose files they are

    def cells(self) -> dict[str, str]:
        """Return the row of the table."""
        job = (self.item or {}).get("job") or {}
        error = (self.item or {}).get("error")
        status = job.get("status") or ("refused" if error else "not sent")
        reason = error["detail"] if error else job.get("error") or ""
        line = self.place.removeprefix("line ") if self.place.startswith("line ") else ""
        files = " ".join(self.files)
        cells = (str(self.number), line, job.get("id", ""), status, files, reason)
        return dict(zip(COLUMNS, cells, strict=True))


def named_rows(rows: Sequence[Row], column: str | None) -> list[RowResult]:
    """Name the files of each row by its number, or by its value in ``column``.

    A value that stands in several rows is followed by the row's number, and a row without one has
    its number alone.

    Raises:
        CannotStart: no row has such a value.
    """
    if column is not None and not any(request.get(column) for _, request in rows):
        raise CannotStart(f"no row has a value in {column} to name files by; leave --name out")
    width = len(str(len(rows)))
    results: list[RowResult] = []
    taken: set[str] = set()
    for row, (place, request) in enumerate(rows, start=1):
        number = str(row).zfill(width)
        name = "" if column is None else _readable(request.get(column))
        if name.casefold() in taken:
            name = f"{name}-{number}"
        results.append(RowResult(row, place, name or number))
        taken.add(results[-1].name.casefold())
    return results


def _readable(value: object) -> str:
    """Return a value as a part of a file's name."""
    text = "" if value is None else str(value)
    readable = NOT_IN_NAMES.sub("-", text)[:MAX_NAME_CHARS]
    return readable.encode()[:MAX_NAME_BYTES].decode(errors="ignore").strip("-.")


def fetch_batch(
    client: ApiClient, batch_id: str, results: Sequence[RowResult], folder: Path
) -> Iterator[Json]:
    """Fetch the files of a batch's jobs as they end, over restarts of the server; yield its summary
    when it has changed, the last one once nothing of it goes on and everything is fetched."""
    patient = client.patient
    for frame, batch in patient.batch_frames(batch_id):
        for item in () if batch is None else batch["items"]:
            _take(patient, item, results[item["index"]], folder)
        yield frame if batch is None else batch | {"items": None}


def _take(client: ApiClient, item: Json, result: RowResult, folder: Path) -> None:
    """Note what is known of a row's job, and fetch its files if it has ended."""
    result.item = item
    job = item["job"]
    if job is not None and has_ended(job) and result.fetched != job["id"]:
        files = client.download(job, folder, name=result.name)
        result.files = [str(file) for file in files]
        result.fetched = job["id"]


@contextmanager
def kept_table(file: Path, results: Sequence[RowResult]) -> Iterator[None]:
    """Write the table in the end, also if fetching breaks off or is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("the jobs go on, and the same call goes on fetching what they make", err=True)
        raise
    finally:
        write_table(file, results)


def write_table(file: Path, results: Sequence[RowResult]) -> None:
    """Write what became of each row; the file appears whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    with part.open("w", newline="", encoding="utf-8") as written:
        table = csv.DictWriter(written, COLUMNS)
        table.writeheader()
        table.writerows(result.cells() for result in results)
    part.replace(file)
