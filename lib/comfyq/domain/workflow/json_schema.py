"""JSON Schema of each kind of parameter."""

from typing import Any

from comfyq.domain.files.inputs import FITS
from comfyq.domain.graph.node_catalogue import MODELS
from comfyq.domain.workflow.coercion import DRAW
from comfyq.domain.workflow.parameters import Parameter

EXAMPLES = 20  # names of models, of which there may be thousands

Schema = dict[str, Any]


def string_schema(parameter: Parameter) -> Schema:
    low, high = parameter.min_length, parameter.max_length
    return {"type": "string", "maxLength": high} | ({"minLength": low} if low else {})


def integer_schema(parameter: Parameter) -> Schema:
    step = parameter.multiple_of
    return {"type": "integer"} | _range(parameter) | ({"multipleOf": step} if step else {})


def number_schema(parameter: Parameter) -> Schema:
    return {"type": "number"} | _range(parameter)


def boolean_schema(parameter: Parameter) -> Schema:
    return {"type": "boolean"}


def choice_schema(parameter: Parameter) -> Schema:
    """Of names of models, extension and folder may be left out, so none are enumerated."""
    if not parameter.choices:
        return {"type": "string", "minLength": 1, "maxLength": parameter.max_length}
    if parameter.source in MODELS:
        return {"type": "string", "minLength": 1, "examples": list(parameter.choices[:EXAMPLES])}
    return {"type": "string", "enum": list(parameter.choices)}


def seed_schema(parameter: Parameter) -> Schema:
    """-1 stands below the range of seeds, as the value that draws one."""
    return {"type": "integer", "minimum": DRAW, "maximum": parameter.maximum}


def loras_schema(parameter: Parameter) -> Schema:
    entry = {"type": "string", "maxLength": parameter.max_length}
    return {"type": "array", "items": entry, "maxItems": parameter.max_items}


def file_schema(parameter: Parameter) -> Schema:
    source = {
        "type": "string",
        "minLength": 1,
        "maxLength": parameter.max_length,
        "description": "The id of an asset, an http(s) URL, or a data URI.",
    }
    properties = {"source": source, "fit": {"type": "string", "enum": list(FITS)}}
    fitted = {
        "type": "object",
        "properties": properties,
        "required": ["source"],
        "additionalProperties": False,
    }
    return {"anyOf": [source, fitted]}


def _range(parameter: Parameter) -> Schema:
    bounds = {"minimum": parameter.minimum, "maximum": parameter.maximum}
    return {name: bound for name, bound in bounds.items() if bound is not None}
