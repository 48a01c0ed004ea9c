"""Conversion of cells by ``comfyq batch``, by the type of the parameter."""

from typing import Any

import pytest

from comfyq.cli.batch_file import value_of

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
