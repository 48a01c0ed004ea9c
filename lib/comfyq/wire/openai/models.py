"""Workflows as OpenAI's API shows models."""

from typing import Literal

from pydantic import BaseModel

OWNER = "comfyq"


class ModelView(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int = 0  # of a workflow that is not known
    owned_by: str = OWNER


class ModelListView(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelView]
