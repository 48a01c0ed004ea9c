"""Errors as RFC 9457 problem details: https://www.rfc-editor.org/rfc/rfc9457"""

from typing import Any

from pydantic import BaseModel, Field


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
