"""Pydantic's errors in the words of problem documents: what is wrong, and what to do."""

from collections.abc import Mapping
from typing import Any

SENTENCES: Mapping[str, str] = {
    "missing": "is missing; add it",
    "extra_forbidden": "is not known here; leave it out",
    "bool_type": "is no boolean; write true or false, without quotes",
    "bool_parsing": "is no boolean; write true or false",
    "string_type": "is no text; write it in quotes",
    "dict_type": "is no JSON object; write {...}",
    "model_type": "is no JSON object; write {...}",
    "model_attributes_type": "is no JSON object; write {...}",
    "list_type": "is no list; write [...]",
    "int_parsing": "is no whole number",
}
SUBJECTS = ("Input should ", "Value should ", "String should ", "List should ")


def message_of(raised: Mapping[str, Any]) -> str:
    """Return the message of one of pydantic's errors; our own validators' stay as they are."""
    if raised["type"] in SENTENCES:
        return SENTENCES[raised["type"]]
    text = str(raised["msg"]).removeprefix("Value error, ")
    for subject in SUBJECTS:
        if text.startswith(subject):
            return f"must {text.removeprefix(subject)}"
    return text
