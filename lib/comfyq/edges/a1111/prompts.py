"""Prompts in AUTOMATIC1111's way of writing: ``a fox <lora:style:0.8>``."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from comfyq.edges.a1111.refusals import refused

NETWORK = re.compile(r"<(lora|lyco|hypernet):([^:<>]*)((?::[^:<>]*)*)>")
LORAS = ("lora", "lyco")
MAX_LORA_CHARS = 10_000  # beside the text of a prompt
NUMBER = re.compile(r"-?[0-9]{1,6}(\.[0-9]{1,6})?")


class Prompt(NamedTuple):
    text: str
    loras: Sequence[str]  # as workflows take them


def prompt_of(written: str, *, max_chars: int) -> Prompt:
    """Return a prompt of ``max_chars`` at most without its LoRAs, and those.

    Raises InvalidRequest for a network of another kind, for a strength that is no number, and for
    what is too long to be looked through.
    """
    most = max_chars + MAX_LORA_CHARS
    if len(written) > most:
        raise refused("prompt", f"has {len(written)} characters; the most is {most} with its LoRAs")
    loras = [_lora(*found.groups()) for found in NETWORK.finditer(written)]
    return Prompt(NETWORK.sub("", written).strip(), loras)


def _lora(kind: str, name: str, below: str) -> str:
    strengths = below.split(":")[1:]
    if kind not in LORAS or not name.strip():
        raise refused(
            "prompt", f"`<{kind}:{name[:60]}…>` has no effect here; write <lora:name:0.8>"
        )
    for strength in strengths:
        if not NUMBER.fullmatch(strength):
            message = f"the strength {strength[:20]!r} of LoRA {name[:60]!r} must be a number"
            raise refused("prompt", message)
    # There, the strength on the text encoder comes first; it goes for both if it is alone.
    match strengths[:2]:
        case [both]:
            return f"{name}:{both}"
        case [clip, model]:
            return f"{name}:{model}:{clip}"
        case _:
            return name
