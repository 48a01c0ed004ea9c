"""Files of requests: JSON Lines (one body of ``POST /generate`` a line), CSV with a header, or one
graph in whatever form ``POST /generate`` takes it."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from comfyq.cli.errors import CannotStart
from comfyq.domain.graph.documents.encoding import decoded, read_content
from comfyq.domain.graph.documents.errors import UnreadableDocument
from comfyq.domain.graph.documents.pictures import is_picture
from comfyq.domain.submission.request import BESIDE, COMMON, DEFAULT_WORKFLOW

SCHEMAS: Mapping[str, Any] = {
    name: {"type": "boolean" if isinstance(default, bool) else "integer"}
    for name, default in COMMON.items()
}

LABEL = "label."  # before the name of a label, as a column
SEPARATORS = ",;\t"  # of cells; no parameter's name has one of them

Request = dict[str, Any]
Schema = Mapping[str, Any]
SchemaOf = Callable[[str], Schema]
"""A workflow's name -> JSON Schema of its values."""


Row = tuple[str, Request]
"""A request and its place in the file, counted from 1: ``line 3``."""


def read_requests(file: Path, schema_of: SchemaOf) -> list[Row]:
    """The requests of a file, in order; a picture or a file of one object is one request.

    Raises:
        CannotStart: it cannot be read; the message names the line.
    """
    try:
        content = file.read_bytes()
        if is_picture(content):
            return [(_request(1), {"graph": read_content(content)})]
        text = decoded(content)
        is_csv = file.suffix.lower() == ".csv"
        requests = list(_csv(file, text, schema_of) if is_csv else _json(file, text))
    except (OSError, UnreadableDocument, csv.Error) as unreadable:
        raise CannotStart(f"cannot read {file}: {unreadable}") from unreadable
    if not requests:
        raise CannotStart(f"{file} has no requests")
    return requests


def _json(file: Path, text: str) -> Iterator[Row]:
    """Read an object or a list of them, as editors save it over many lines; else one a line."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        yield from _json_lines(file, text)
        return
    requests = whole if isinstance(whole, list) else [whole]
    for number, request in enumerate(requests, start=1):
        if not isinstance(request, dict):
            raise CannotStart(f"{file}, {_request(number)}: a request is an object")
        yield _request(number), request


def _json_lines(file: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            request = json.loads(line)
        except (ValueError, RecursionError) as wrong:
            raise CannotStart(f"{file}, line {number}: no JSON: {wrong}") from wrong
        if not isinstance(request, dict):
            raise CannotStart(f"{file}, line {number}: a request is an object")
        yield f"line {number}", request


def _csv(file: Path, text: str, schema_of: SchemaOf) -> Iterator[Row]:
    """An empty cell is the parameter's default; the header tells the separator."""
    header = text.partition("\n")[0]
    separator = next((each for each in SEPARATORS if each in header), SEPARATORS[0])
    reader = csv.DictReader(StringIO(text, newline=""), delimiter=separator, strict=True)
    for row in _whole_rows(file, reader):
        if None in row:
            raise CannotStart(f"{file}, line {reader.line_num}: more cells than the header has")
        given = {name: cell for name, cell in row.items() if cell}
        if given:
            of_workflow = schema_of(given.get("workflow", DEFAULT_WORKFLOW))["properties"]
            properties = {**SCHEMAS, **of_workflow}
            values = {name: value_of(cell, properties.get(name)) for name, cell in given.items()}
            yield f"line {reader.line_num}", _with_labels(values)


def _with_labels(values: Request) -> Request:
    """Put the cells of columns that name a label where a request has its labels."""
    labels = {n.removeprefix(LABEL): text for n, text in values.items() if n.startswith(LABEL)}
    if not labels:
        return values
    rest = {name: value for name, value in values.items() if not name.startswith(LABEL)}
    return rest | {"labels": labels}


def labeled(rows: Sequence[Row], labels: Mapping[str, str]) -> list[Row]:
    """Return the rows with these labels; a row's own stay as they are."""
    if not labels:
        return list(rows)
    return [(place, request | {"labels": _joined(request, labels)}) for place, request in rows]


def _joined(request: Request, labels: Mapping[str, str]) -> Any:
    own = request.get("labels", {})
    return {**labels, **own} if isinstance(own, dict) else own  # the server refuses what is none


def _whole_rows(file: Path, reader: "csv.DictReader[str]") -> Iterator[dict[str, Any]]:
    began = 1
    try:
        for row in reader:
            yield row
            began = reader.line_num + 1
    except csv.Error as wrong:
        hint = "a quote that is opened is closed, and one inside of quotes is doubled"
        raise CannotStart(f"{file}, line {began}: no CSV: {wrong}; {hint}") from wrong


def without_names(rows: Sequence[Row], column: str | None, schema_of: SchemaOf) -> list[Row]:
    """Return the rows as they are sent: without ``column``, where it only names files because it is
    no value of the row's workflow."""
    if column is None or column in BESIDE:
        return list(rows)
    return [
        (place, {name: value for name, value in request.items() if name != column})
        if column in request and not _takes(request, column, schema_of)
        else (place, request)
        for place, request in rows
    ]


def _takes(request: Request, name: str, schema_of: SchemaOf) -> bool:
    if "graph" in request:
        return False
    workflow = request.get("workflow", DEFAULT_WORKFLOW)
    return isinstance(workflow, str) and name in schema_of(workflow)["properties"]


def _request(number: int) -> str:
    return f"request {number}"


def value_of(cell: str, schema: Schema | None) -> Any:
    """Convert a cell to the type of its parameter.

    A cell that is no such value stays text, for the server to say what is wrong with it.
    """
    if schema is None or "string" in _types(schema):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell


def _types(schema: Schema) -> set[str]:
    """JSON types that a schema allows; a list of choices is of what it lists."""
    kinds = schema.get("type", [])
    types = {kinds} if isinstance(kinds, str) else set(kinds)
    if any(isinstance(choice, str) for choice in schema.get("enum", ())):
        types.add("string")
    return types.union(*(_types(each) for each in schema.get("anyOf", ())))
