"""Sizes that ComfyUI cannot read off the weights: the custom node overrides them with the same."""

import json
from pathlib import Path
from typing import Any, Final

_FILE = Path(__file__).parents[1] / "custom_nodes" / "comfyq_lab" / "sizes.json"
_SIZES: Final[dict[str, dict[str, Any]]] = json.loads(_FILE.read_text())

CLIP_L: Final[dict[str, int]] = _SIZES["text_encoders"]["clip_l"]
CLIP_G: Final[dict[str, int]] = _SIZES["text_encoders"]["clip_g"]
T5XXL: Final[dict[str, int]] = _SIZES["text_encoders"]["t5xxl"]
SD15: Final[dict[str, Any]] = _SIZES["unets"]["sd15"]
SDXL: Final[dict[str, Any]] = _SIZES["unets"]["sdxl"]
