"""Values that flow along the links of a graph.

There are no tensors here: a value is the digest of everything that went into it, and the size that
a picture made from it will have. Equal digests give equal pixels, any difference gives others.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from comfyui_simulator.catalogue import NodeClass
from comfyui_simulator.running.schedule import digest

PICTURE_TYPES = ("LATENT", "IMAGE", "MASK", "VIDEO")

# Inputs that only say where or how fast to save, and must not change the pixels.
NOT_IN_THE_PICTURE = {"filename_prefix"}


@dataclass(frozen=True, kw_only=True)
class Value:
    """The value that one node gives to all its slots."""

    digest: str
    width: int = 0
    """In pixels, also of a latent; 0 of what has no size."""
    height: int = 0
    count: int = 1
    """Pictures of a batch, or frames of a video."""
    steps: int = 0
    """Of a schedule of noise levels."""
    seconds: float = 0.0
    """Of sound."""
    fps: float = 0.0
    color: int | None = None
    """0xRRGGBB of a picture of one colour."""
    source: Path | None = None
    """The file of a picture that was loaded and at most scaled since."""
    factor: int = 0
    """Of a model that enlarges pictures."""
    constants: tuple[Any, ...] = ()
    """Numbers or texts that a node gives out as they are, by slot."""

    def slot(self, number: int) -> Any:
        """Return the value of one output slot: this value, or a constant."""
        if self.constants:
            return self.constants[number]
        return replace(self, digest=f"{self.digest}.{number}") if number else self

    def repainted(self) -> "Value":
        """The same size, with pixels that follow from the digest alone."""
        return replace(self, source=None, color=None)

    def scaled(self, factor: float) -> "Value":
        width, height = round(self.width * factor), round(self.height * factor)
        return replace(self, width=width, height=height)


def combined(kind: NodeClass, inputs: dict[str, Any]) -> Value:
    """Combine size and schedule of the inputs, for a node that has no behaviour of its own.

    An input called width, height, batch_size, length, steps, seconds or fps overrides what is
    linked. A 0 for width or height keeps the proportions, as ComfyUI's scaling nodes have it.
    """
    base = _sized(_linked(kind, inputs))
    value = replace(base, digest=input_digest(kind.name, inputs), constants=()).repainted()
    value = replace(value, **_numbers(inputs))
    return _resized(value, inputs) if kind.makes(*PICTURE_TYPES) else value


def input_digest(class_type: str, inputs: dict[str, Any]) -> str:
    """The digest of a node's result: its class and everything that reaches it."""
    digests = {
        name: value.digest if isinstance(value, Value) else value
        for name, value in inputs.items()
        if name not in NOT_IN_THE_PICTURE
    }
    return digest([class_type, digests])


def _linked(kind: NodeClass, inputs: dict[str, Any]) -> list[Value]:
    """The linked inputs, those that say most about the result last.

    That is the first of the type that the node gives out: the latent of a sampler, not the picture
    that guides it.
    """
    specs = [spec for spec in kind.inputs if isinstance(inputs.get(spec.name), Value)]
    own = [spec for spec in specs if spec.type in PICTURE_TYPES and spec.type in kind.outputs]
    others = [spec for spec in specs if spec not in own]
    return [inputs[spec.name] for spec in [*others, *reversed(own)]]


def _sized(values: Iterable[Value]) -> Value:
    """Merge the inputs into one value; of each property, the last input that has it counts."""
    merged = Value(digest="")
    for value in values:
        merged = replace(
            merged,
            width=value.width or merged.width,
            height=value.height or merged.height,
            count=value.count if value.width else merged.count,
            steps=value.steps or merged.steps,
            seconds=value.seconds or merged.seconds,
            fps=value.fps or merged.fps,
        )
    return merged


def _numbers(inputs: dict[str, Any]) -> dict[str, Any]:
    given = {name: inputs[name] for name in ("steps", "seconds", "fps") if name in inputs}
    return {name: number for name, number in given.items() if isinstance(number, int | float)}


def _resized(value: Value, inputs: dict[str, Any]) -> Value:
    width, height = _number(inputs, "width"), _number(inputs, "height")
    if width is not None and height is not None:
        value = _in_proportion(value, width, height)
    batch, length = _number(inputs, "batch_size"), _number(inputs, "length")
    if batch is not None or length is not None:
        value = replace(value, count=(batch or 1) * (length or 1))
    return value


def _in_proportion(value: Value, width: int, height: int) -> Value:
    if not width and not height:
        return value
    if not width:
        width = max(1, round(value.width * height / max(1, value.height)))
    if not height:
        height = max(1, round(value.height * width / max(1, value.width)))
    return replace(value, width=width, height=height)


def _number(inputs: dict[str, Any], name: str) -> int | None:
    value = inputs.get(name)
    return int(value) if isinstance(value, int | float) else None
