"""Requests for pictures as AUTOMATIC1111's API takes them.

Its clients send many fields that say what is done anyway, so those that are not known here are
kept: whoever makes a workflow's values of them says which are refused.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

MOST_PICTURES = 16  # that one request may ask for
# Files, and what SillyTavern sends of its own settings, a key among them: no answer repeats it.
UNREPEATED = frozenset({"init_images", "mask", "auth", "url"})

Text = Annotated[str | None, Field(max_length=200)]
Count = Annotated[int | None, Field(ge=1, le=MOST_PICTURES)]


class TextToImage(BaseModel):
    """A request for pictures; null stands for what is left out."""

    model_config = ConfigDict(extra="allow")

    prompt: str | None = None
    negative_prompt: str | None = None
    styles: list[str] | None = None
    seed: int | None = None
    sampler_name: Text = None
    sampler_index: Text = None  # an older name of the same
    scheduler: Text = None
    steps: int | None = None
    cfg_scale: float | None = None
    width: int | None = None
    height: int | None = None
    batch_size: Count = None
    n_iter: Count = None
    denoising_strength: float | None = None
    enable_hr: bool | None = None
    hr_scale: float | None = None
    hr_second_pass_steps: int | None = None
    send_images: bool | None = None
    alwayson_scripts: dict[str, Any] | None = None
    override_settings: dict[str, Any] | None = None

    @property
    def count(self) -> int:
        return (self.batch_size or 1) * (self.n_iter or 1)

    @property
    def overrides(self) -> dict[str, Any]:
        return self.override_settings or {}

    @property
    def others(self) -> dict[str, Any]:
        """Return the fields that are not known here."""
        return dict(self.model_extra or {})


class ImageToImage(TextToImage):
    init_images: list[str] = Field(min_length=1, max_length=10)  # base64, data URIs or URLs
    mask: str | None = None
    resize_mode: int | None = None


class Upscale(BaseModel):
    """A request for a larger picture."""

    model_config = ConfigDict(extra="allow")

    image: str
    upscaler_1: Text = None
    upscaler_2: Text = None
    upscaling_resize: float | None = None
    resize_mode: int | None = None
    gfpgan_visibility: float | None = None
    codeformer_visibility: float | None = None


class PngInfo(BaseModel):
    image: str


class Options(BaseModel):
    """Options to set: only those that a server has can stay as they are."""

    model_config = ConfigDict(extra="allow")
