"""JSON Schema as Markdown: one line for each field of an object."""

import json
from collections.abc import Mapping
from typing import Any

from infra.docs.markdown import code, prose, table

Schema = Mapping[str, Any]

BOUNDS = {  # JSON Schema's keyword -> how it is shown; in this order
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "multipleOf": "multiple of {}",
    "minLength": "length ≥ {}",
    "maxLength": "length ≤ {}",
    "minItems": "items ≥ {}",
    "maxItems": "items ≤ {}",
}
MOST_VALUES = 12  # of an enumeration that are shown


def fields(schema: Schema, *, linked: bool = True) -> str:
    """The table of an object's properties; "" if it has none."""
    required = set(schema.get("required", ()))
    rows = [
        (code(name), type_of(each, linked=linked), _default(name, each, required), meaning(each))
        for name, each in schema.get("properties", {}).items()
    ]
    return table(("field", "type", "default", "meaning"), rows) if rows else ""


def type_of(schema: Schema, *, linked: bool = True) -> str:
    """A type as Markdown; with a link where it is a schema of its own."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if linked else name
    if "anyOf" in schema:
        kinds = [type_of(each, linked=linked) for each in schema["anyOf"]]
        return " or ".join(dict.fromkeys(kinds))
    if "const" in schema:
        return code(json.dumps(schema["const"]))
    if "enum" in schema:
        return _values(schema["enum"])
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}), linked=linked)}"
    kind = str(schema.get("type", "any"))
    return f"{kind} ({schema['format']})" if "format" in schema else kind


def meaning(schema: Schema) -> str:
    """Return its description, and the bounds of its values."""
    parts = [schema, *schema.get("anyOf", ())]
    bounds = [
        shown.format(_number(each[keyword]))
        for each in parts
        for keyword, shown in BOUNDS.items()
        if keyword in each
    ]
    return " ".join([prose(schema.get("description", "")), f"({', '.join(bounds)})" * bool(bounds)])


def _values(values: list[Any]) -> str:
    shown = ", ".join(code(json.dumps(each).strip('"')) for each in values[:MOST_VALUES])
    rest = len(values) - MOST_VALUES
    return f"{shown} and {rest} more" if rest > 0 else shown


def _default(name: str, schema: Schema, required: set[str]) -> str:
    if name in required:
        return "required"
    return code(json.dumps(schema["default"])) if "default" in schema else ""


def _number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else str(value)
