"""Requests for pictures as OpenAI's API takes them, and its answers."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MOST_PICTURES = 10  # that one request may ask for, as at OpenAI


class ImageRequest(BaseModel):
    """A request for pictures. Fields that are not known here are parameters of the workflow, which
    OpenAI's clients send as ``extra_body``."""

    model_config = ConfigDict(extra="allow")

    prompt: str
    model: str | None = Field(None, max_length=200)  # the name of a workflow
    n: int | None = Field(None, ge=1, le=MOST_PICTURES)
    size: str | None = None  # WIDTHxHEIGHT, or auto
    quality: str | None = None
    response_format: Literal["url", "b64_json"] | None = None  # None: both
    user: str | None = None

    @property
    def count(self) -> int:
        return self.n or 1

    @property
    def others(self) -> dict[str, Any]:
        """Return the fields that are not known here."""
        return dict(self.model_extra or {})


class ImageView(BaseModel):
    """A picture; what is not told is left out."""

    b64_json: str | None = None
    url: str | None = None


class ImagesView(BaseModel):
    created: int  # seconds since 1970
    data: list[ImageView]
    output_format: str | None = None
