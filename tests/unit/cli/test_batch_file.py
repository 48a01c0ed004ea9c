"""Files of ``comfyq batch``; cells of a table, by the type of the parameter."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from comfyq.cli.app import app
from comfyq.cli.batches.requests_file import labeled, read_requests, value_of
from comfyq.cli.errors import CannotStart

TEXT = {"type": "string"}
NUMBER = {"type": "number"}
LORAS = {"type": "array", "items": TEXT}
CHOICE = {"enum": ["1.5", "xl"]}
OPTIONAL = {"anyOf": [{"type": "integer"}, {"type": "null"}]}


@pytest.mark.parametrize(
    ("cell", "schema", "value"),
    [
        ("42", TEXT, "42"),
        ("42", NUMBER, 42),
        ("7.5", NUMBER, 7.5),
        ("many", NUMBER, "many"),
        ("true", {"type": "boolean"}, True),
        ('["style:0.8"]', LORAS, ["style:0.8"]),
        ("1.5", CHOICE, "1.5"),
        ("3", OPTIONAL, 3),
        ("3", {"type": ["string", "integer"]}, "3"),
        ("3", None, "3"),
    ],
)
def test_a_cell_has_the_type_of_its_parameter(
    cell: str, schema: dict[str, Any] | None, value: object
) -> None:
    converted = value_of(cell, schema)
    assert (converted, type(converted)) == (value, type(value))


REQUESTS = [{"prompt": "a fox"}, {"prompt": "an owl"}]
LINES = "\n".join(json.dumps(each) for each in REQUESTS)


@pytest.mark.parametrize(
    ("name", "content", "places"),
    [
        ("a.jsonl", LINES.encode("utf-8-sig"), ["line 1", "line 2"]),
        ("a.jsonl", LINES.encode("utf-16"), ["line 1", "line 2"]),
        ("a.jsonl", LINES.replace("\n", "\n\n").encode(), ["line 1", "line 3"]),
        ("a.json", json.dumps(REQUESTS, indent=2).encode(), ["request 1", "request 2"]),
        ("a.csv", "prompt\na fox\nan owl\n".encode("utf-16"), ["line 2", "line 3"]),
        ("a.csv", b"prompt\r\na fox\r\nan owl\r\n", ["line 2", "line 3"]),
    ],
)
def test_a_file_of_requests_is_read(
    tmp_path: Path, name: str, content: bytes, places: list[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    rows = read_requests(tmp_path / name, lambda _: {"properties": {"prompt": TEXT}})
    assert rows == list(zip(places, REQUESTS, strict=True))


def test_a_saved_graph_is_one_request(tmp_path: Path) -> None:
    graph = {"1": {"class_type": "EmptyImage", "inputs": {}}}
    (tmp_path / "graph.json").write_text(json.dumps(graph, indent=2))
    assert read_requests(tmp_path / "graph.json", lambda _: {}) == [("request 1", graph)]


@pytest.mark.parametrize("content", [b"\xff\xfe\xfa", b"[1]", b"3", b"{}\n{", b""])
def test_what_is_no_request_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(CannotStart):
        read_requests(tmp_path / "a.jsonl", lambda _: {})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"prompt": "x"}\n{', "line 2: no JSON"),
        ("a.jsonl", "[1]", "request 1: a request is an object"),
        ("a.jsonl", "\n", "has no requests"),
        ("a.csv", "prompt\na,b\n", "line 2: more cells"),
        ("missing/a.csv", None, "cannot read"),
    ],
)
def test_a_file_that_is_wrong_names_the_line(
    tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    command = ["--url", "http://127.0.0.1:9", "batch", str(tmp_path / name)]
    ended = CliRunner().invoke(app, command)
    assert ended.exit_code != 0
    assert message in ended.stderr


def test_a_quote_that_is_not_closed_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text('prompt\na fox\n"an owl\na mouse\n')
    with pytest.raises(CannotStart, match=r"a\.csv, line 3: no CSV"):
        read_requests(file, lambda _: {"properties": {"prompt": TEXT}})


def test_columns_and_options_give_labels(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("prompt,label.run,label.take\na fox,7,\nan owl,,2\n")
    rows = read_requests(file, lambda _: {"properties": {"prompt": TEXT}})
    assert [request for _, request in labeled(rows, {"by": "me", "run": "1"})] == [
        {"prompt": "a fox", "labels": {"by": "me", "run": "7"}},
        {"prompt": "an owl", "labels": {"by": "me", "run": "1", "take": "2"}},
    ]
    assert labeled(rows, {}) == rows
