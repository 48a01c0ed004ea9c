"""The settings of model files."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, SecretStr

from comfyq.config.lists import checked_exceptions, listed
from comfyq.domain.files.fetch_exceptions import allowed_entries
from comfyq.domain.models.tokens import tokens_by_host
from comfyq.domain.public_addresses import Allowed

NETLOC = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")


def _by_host(text: SecretStr | None) -> SecretStr | None:
    tokens_by_host("" if text is None else text.get_secret_value())
    return text


def _hub(url: str) -> str:
    parts = urlsplit(url)
    is_whole = parts.scheme in ("http", "https") and NETLOC.fullmatch(parts.netloc)
    if not is_whole or parts.query or parts.fragment or not _has_port(parts):
        raise ValueError("is no address of a hub: write https://HOST, without token and query")
    return url


def _has_port(parts: SplitResult) -> bool:
    """Return whether the port of a URL, if it has one, is one that there may be."""
    try:
        return parts.port != 0
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    models_dir: Path | None = None
    """Folder of model files, ComfyUI's own or one that it is told of; unset: `models` in
    COMFYUI_DIR."""
    model_fetch: bool = False
    """Workers fetch models that a job's lock names and that they lack, into MODELS_DIR or `models`
    in their ComfyUI's directory."""
    model_tokens: Annotated[SecretStr | None, AfterValidator(_by_host)] = None
    """What servers of models know us by, as `host=token`, with commas; each is sent to its host
    alone, by https, and never on to where that redirects."""
    model_allow: Annotated[str, AfterValidator(checked_exceptions)] = ""
    """Hosts and networks, with commas, that models may be fetched from though they are not public,
    or have no TLS; metadata services of clouds stay closed."""
    model_max_bytes: Annotated[int, Field(ge=1)] = 100 * 10**9
    """Largest model file that is fetched."""
    model_store_max_bytes: Annotated[int | None, Field(ge=1)] = None
    """Fetched model files take no more than that together; workers delete those used least recently
    for others. Unset: as much as the disk has beside MIN_FREE_BYTES."""
    model_bytes_per_s: Annotated[int | None, Field(ge=1)] = None
    """Models are fetched no faster than that; unset: as fast as they come."""
    model_pickles: str = ""
    """Names of model files, with commas, that are fetched though loading them may run code: all but
    .safetensors, .sft and .gguf."""
    model_hub_hf: Annotated[str, AfterValidator(_hub)] = "https://huggingface.co"
    """URL of Hugging Face, or of a mirror that answers as it does."""
    model_hub_civitai: Annotated[str, AfterValidator(_hub)] = "https://civitai.com"
    """URL of Civitai, or of a mirror that answers as it does."""

    @property
    def allowed_origins(self) -> Allowed:
        return Allowed.of(allowed_entries(self.model_allow))

    @property
    def tokens(self) -> Mapping[str, str]:
        return tokens_by_host(
            "" if self.model_tokens is None else self.model_tokens.get_secret_value()
        )

    @property
    def pickles(self) -> frozenset[str]:
        return frozenset(listed(self.model_pickles))
