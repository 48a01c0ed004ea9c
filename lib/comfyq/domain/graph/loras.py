"""LoRAs as clients write them: ``name``, ``name:0.8``, ``folder/name.safetensors:-1``.

``name:0.8:0.6`` changes the model with strength 0.8 and the text encoder with 0.6.
"""

import math
import re
from dataclasses import dataclass, replace

from comfyq.domain.graph.model_names import with_extension

NUMBER = re.compile(
    r"[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|nan|inf(inity)?)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Lora:
    """A LoRA file and how strongly it changes the model and the text encoder."""

    name: str
    strength: float = 1.0  # of the model
    clip_strength: float | None = None  # of the text encoder; None: the same

    def __str__(self) -> str:
        """The form that ``parse_lora`` reads back as the same LoRA."""
        clip = "" if self.clip_strength is None else f":{self.clip_strength!r}"
        return f"{self.name}:{self.strength!r}{clip}"

    @property
    def strengths(self) -> tuple[float, ...]:
        clip = self.clip_strength
        return (self.strength,) if clip is None else (self.strength, clip)

    def completed(self) -> "Lora":
        return replace(self, name=with_extension(self.name))


def parse_lora(text: str) -> Lora:
    """As ``read_lora``, with an extension."""
    return read_lora(text).completed()


def read_lora(text: str) -> Lora:
    """Read ``name[:strength[:clip strength]]``; only numbers behind the last colons are strengths.

    Raises:
        ValueError: there is no name, or a strength is not finite.
    """
    name, strengths = text, list[str]()
    while len(strengths) < 2:
        before, colon, last = name.rpartition(":")
        if not colon or not NUMBER.fullmatch(last.strip()):
            break
        name, strengths = before, [last.strip(), *strengths]
    if not name.strip():
        raise ValueError("has no name; write `name` or `name:strength`")
    for strength in strengths:
        if not math.isfinite(float(strength)):
            raise ValueError(f"has strength {strength}; a strength is a finite number")
    return Lora(name.strip(), *map(float, strengths))
