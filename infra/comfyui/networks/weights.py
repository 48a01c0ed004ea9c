"""Random half-precision weights, made and written with the standard library alone."""

import json
import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import NormalDist
from typing import Protocol

BYTES_PER_VALUE = 2
"""All tensors are IEEE half floats, `F16` in safetensors."""

# A random byte picks one of 256 equally likely values of the normal distribution. That is random
# enough for weights nobody trained, and turns bulk generation into two C-speed table look-ups.
_QUANTILES = tuple(NormalDist().inv_cdf((i + 0.5) / 256) for i in range(256))


class Fill(Protocol):
    """The content of a tensor."""

    def values(self, shape: tuple[int, ...], random: Random) -> bytes:
        """Return the little-endian half floats of a tensor of `shape`, in row-major order."""


@dataclass(frozen=True)
class Normal:
    """Independent random values around zero."""

    standard_deviation: float

    def values(self, shape: tuple[int, ...], random: Random) -> bytes:
        table = [_half(q * self.standard_deviation) for q in _QUANTILES]
        choices = random.randbytes(math.prod(shape))
        values = bytearray(len(choices) * BYTES_PER_VALUE)
        values[0::2] = choices.translate(bytes(low for low, _ in table))
        values[1::2] = choices.translate(bytes(high for _, high in table))
        return bytes(values)


@dataclass(frozen=True)
class Constant:
    """The same value everywhere."""

    value: float

    def values(self, shape: tuple[int, ...], random: Random) -> bytes:
        return _half(self.value) * math.prod(shape)


@dataclass(frozen=True)
class PassThrough:
    """A 3 by 3 convolution that copies input channel n to output channel n."""

    def values(self, shape: tuple[int, ...], random: Random) -> bytes:
        outputs, inputs, height, width = shape
        kernel = height * width
        centre = kernel // 2
        values = [0.0] * (outputs * inputs * kernel)
        for channel in range(min(outputs, inputs)):
            values[(channel * inputs + channel) * kernel + centre] = 1.0
        return b"".join(map(_half, values))


@dataclass(frozen=True)
class Tensor:
    shape: tuple[int, ...]
    fill: Fill

    @property
    def size_bytes(self) -> int:
        return math.prod(self.shape) * BYTES_PER_VALUE


Network = dict[str, Tensor]
"""State-dict name to tensor."""


def write_safetensors(path: Path, network: Network) -> None:
    """Write `network` to `path`, whole or not at all.

    The weights depend on the file's name alone, so each run makes the same files.
    Format: an 8-byte length, a JSON header, then the tensors in the order of the header.
    """
    random = Random(path.name)
    ordered = dict(sorted(network.items()))
    chunks = [_header(ordered)]
    chunks += [tensor.fill.values(tensor.shape, random) for tensor in ordered.values()]
    replace(path, chunks)


def replace(path: Path, chunks: Iterable[bytes]) -> None:
    """Give `path` a new content in one step: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        file.writelines(chunks)
    part.replace(path)


def _header(network: Network) -> bytes:
    entries: dict[str, object] = {"__metadata__": {"comfyq": "tiny random weights"}}
    start = 0
    for name, tensor in network.items():
        end = start + tensor.size_bytes
        entries[name] = {"dtype": "F16", "shape": tensor.shape, "data_offsets": [start, end]}
        start = end
    text = json.dumps(entries).encode()
    padded = text.ljust(math.ceil(len(text) / 8) * 8)  # tensors start on a multiple of 8 bytes
    return struct.pack("<Q", len(padded)) + padded


def _half(value: float) -> bytes:
    return struct.pack("<e", value)
