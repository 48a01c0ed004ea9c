"""Answers of AUTOMATIC1111's API; what its clients look for and is not known here is empty."""

from typing import Any

from pydantic import BaseModel, ConfigDict, RootModel


class EmptyView(BaseModel):
    """What is answered where there is nothing to say."""


class PlainView(RootModel[Any]):
    """An answer that is a list, or has no fields of its own."""


class ImagesView(BaseModel):
    images: list[str]  # base64
    parameters: dict[str, Any]
    info: str  # JSON


class UpscaledView(BaseModel):
    html_info: str
    image: str


class PngInfoView(BaseModel):
    info: str
    items: dict[str, str]
    parameters: dict[str, Any]


class StateView(BaseModel):
    skipped: bool = False
    interrupted: bool = False
    stopping_generation: bool = False
    job: str = ""
    job_count: int = 0
    job_timestamp: str = "0"
    job_no: int = 0
    sampling_step: int = 0
    sampling_steps: int = 0


class ProgressView(BaseModel):
    progress: float = 0.0
    eta_relative: float = 0.0  # seconds
    state: StateView
    current_image: str | None = None
    textinfo: str | None = None


class NamedModelView(BaseModel):
    """A workflow, as a checkpoint is shown."""

    model_config = ConfigDict(protected_namespaces=())

    title: str
    model_name: str
    hash: str | None = None
    sha256: str | None = None
    filename: str
    config: str | None = None


class SamplerView(BaseModel):
    name: str
    aliases: list[str]
    options: dict[str, str]


class SchedulerView(BaseModel):
    name: str
    label: str
    aliases: list[str] | None = None
    default_rho: float = -1
    need_inner_model: bool = False


class UpscalerView(BaseModel):
    model_config = ConfigDict(protected_namespaces=())

    name: str
    model_name: str | None = None
    model_path: str | None = None
    model_url: str | None = None
    scale: float | None = None


class LoraView(BaseModel):
    name: str
    alias: str
    path: str
    metadata: dict[str, Any]


class StyleView(BaseModel):
    name: str
    prompt: str
    negative_prompt: str


class OptionsView(BaseModel):
    sd_model_checkpoint: str
    sd_checkpoint_hash: str = ""
    sd_vae: str = "Automatic"
    CLIP_stop_at_last_layers: int = 1
    samples_format: str = "png"
    live_previews_enable: bool = False
