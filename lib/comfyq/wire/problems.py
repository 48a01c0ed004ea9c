"""Errors as RFC 9457 problem details: https://www.rfc-editor.org/rfc/rfc9457"""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from comfyq.domain.errors import Unauthenticated

CHALLENGE = 'Bearer realm="comfyq"'
NOT_DESCRIBING = re.compile(r"[^ !#-[\]-~]")  # what a description in a header may not have

# pydantic's kinds of errors in our words: what is wrong, and what to do
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


class ProblemField(BaseModel):
    field: str = Field(description="As the client wrote it; `loras.0` is the first LoRA.")
    message: str


class Problem(BaseModel):
    type: str = Field(examples=["/problems/invalid-parameters"])
    title: str = Field(examples=["Unprocessable Entity"])
    status: int = Field(examples=[422])
    detail: str
    instance: str = Field(description="Path of the request.", examples=["/generate"])
    code: str = Field(
        description="Stable: clients may compare it.", examples=["invalid-parameters"]
    )
    errors: list[ProblemField] = Field([], description="Every bad field of the request.")
    node_errors: dict[str, Any] | None = Field(
        None, description="What is wrong with a graph, by node, as ComfyUI tells it."
    )
    request_id: str | None = Field(
        None, description="As `X-Request-Id` has it; the server's log lines name it as `request`."
    )


def message_of(raised: Mapping[str, Any]) -> str:
    """Return the message of one of pydantic's errors; our own validators' stay as they are."""
    if raised["type"] in SENTENCES:
        return SENTENCES[raised["type"]]
    text = str(raised["msg"]).removeprefix("Value error, ")
    for subject in SUBJECTS:
        if text.startswith(subject):
            return f"must {text.removeprefix(subject)}"
    return text


def challenge(error: Unauthenticated) -> str:
    """Return the ``WWW-Authenticate`` of a 401.

    https://www.rfc-editor.org/rfc/rfc6750#section-3
    """
    if not error.given:
        return CHALLENGE
    described = NOT_DESCRIBING.sub(" ", str(error))
    return f'{CHALLENGE}, error="invalid_token", error_description="{described}"'
