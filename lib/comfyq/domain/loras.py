"""LoRAs as clients write them: ``name``, ``name:0.8``, ``folder/name.safetensors:-1``."""

import math
import re
from dataclasses import dataclass

# what ComfyUI's folder_paths.py takes for a model file
EXTENSIONS = (".safetensors", ".sft", ".ckpt", ".pt", ".pt2", ".pth", ".bin", ".pkl")
DEFAULT_EXTENSION = ".safetensors"
NUMBER = re.compile(
    r"[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|nan|inf(inity)?)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Lora:
    """A LoRA file and how strongly it changes the model and the text encoder."""

    name: str  # with extension, as ComfyUI lists it
    strength: float = 1.0

    def __str__(self) -> str:
        """The form that ``parse_lora`` reads back as the same LoRA."""
        return f"{self.name}:{self.strength!r}"


def parse_lora(text: str) -> Lora:
    """Read ``name[:strength]``; only a number after the last colon is a strength.

    Raises:
        ValueError: there is no name, or the strength is not finite.
    """
    name, colon, last = text.rpartition(":")
    if not colon or not NUMBER.fullmatch(last.strip()):
        name, last = text, "1.0"
    name, strength = name.strip(), float(last)
    if not name:
        raise ValueError("has no name; write `name` or `name:strength`")
    if not math.isfinite(strength):
        raise ValueError(f"has strength {last.strip()}; a strength is a finite number")
    if not name.lower().endswith(EXTENSIONS):
        name += DEFAULT_EXTENSION
    return Lora(name, strength)
