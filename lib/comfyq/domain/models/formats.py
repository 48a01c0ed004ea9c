"""Formats of model files: what may be loaded, and whether a file is whole.

safetensors and GGUF hold numbers alone. The others are pickles, or may be: loading one runs what
its author wrote (https://docs.python.org/3/library/pickle.html), so the operator names each.
"""

import json
from collections.abc import Collection, Mapping
from math import prod
from typing import Any

from comfyq.domain.models.errors import ModelRefused

SAFETENSORS = (".safetensors", ".sft")
GGUF = ".gguf"
HARMLESS = (*SAFETENSORS, GGUF)
START_BYTES = 32  # that tell formats apart
LENGTH_BYTES = 8  # of a safetensors file: how long its header is
# The format allows 100 MB, of which the parser would make some GB; of real models few have 1 MB.
MAX_HEADER_BYTES = 32 * 2**20
MAX_DIMENSIONS = 64
MAX_NUMBER = 2**63
POINTER = b"version https://git-lfs"
METADATA = "__metadata__"
BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "BF16": 16} | {
    f"{kind}{bits}": bits for kind in "UIF" for bits in (16, 32, 64)
}


def check_permitted(file: str, named: Collection[str]) -> None:
    """Raise ModelRefused for a file that may run code and that the operator has not named."""
    if file.lower().endswith(HARMLESS) or file in named or file.rsplit("/", 1)[-1] in named:
        return
    raise ModelRefused(
        f"{file} is no .safetensors, .sft or .gguf file: loading it may run code that its author "
        "put there. If you trust it, name it in COMFYQ_MODEL_PICKLES"
    )


def header_bytes(file: str, start: bytes, size: int) -> int:
    """Return how long the header is that ``check_header`` wants to see, after LENGTH_BYTES; 0 for
    a format without one. ``start`` is the file's first START_BYTES.

    Raises:
        ModelRefused: the file is another thing than its name says.
    """
    if start.startswith(POINTER):
        raise ModelRefused(
            f"{file} is a pointer of Git LFS and not the file: name the address of the file itself"
        )
    name = file.lower()
    if name.endswith(GGUF) and not start.startswith(b"GGUF"):
        raise ModelRefused(f"{file} is no GGUF file: it does not begin as one")
    if not name.endswith(SAFETENSORS):
        return 0
    length = int.from_bytes(start[:LENGTH_BYTES], "little")
    if not 2 <= length <= min(MAX_HEADER_BYTES, size - LENGTH_BYTES):
        raise ModelRefused(
            f"{file} is no safetensors file: its header would have {length} bytes of {size}, and "
            f"the most is {MAX_HEADER_BYTES}"
        )
    return length


def check_header(file: str, header: bytes, data_bytes: int) -> None:
    """Check the header of a safetensors file whose tensors have ``data_bytes``; raises
    ModelRefused.

    https://huggingface.co/docs/safetensors/index#format
    """
    try:
        tensors = json.loads(header)
    except (ValueError, RecursionError):
        raise ModelRefused(f"{file} is no safetensors file: its header is no JSON") from None
    if not isinstance(tensors, dict) or header[:1] != b"{":
        raise ModelRefused(f"{file} is no safetensors file: its header is no object")
    tensors.pop(METADATA, None)
    spans = sorted(_span(file, name, tensor) for name, tensor in tensors.items())
    end = 0
    for begin, after, name in spans:
        if begin != end:
            raise ModelRefused(f"{file} is damaged: there is a gap or overlap before {name[:100]}")
        end = after
    if end != data_bytes:
        raise ModelRefused(
            f"{file} is damaged: its tensors have {end} bytes, and {data_bytes} are there"
        )


def _span(file: str, name: str, tensor: Any) -> tuple[int, int, str]:
    """Return where a tensor's data begins and ends."""
    wrong = ModelRefused(f"{file} is damaged: its header is wrong about {name[:100]}")
    if not isinstance(tensor, Mapping):
        raise wrong
    offsets: Any = tensor.get("data_offsets")
    shape: Any = tensor.get("shape")
    kind: Any = tensor.get("dtype")
    if not (_are_sizes(offsets) and _are_sizes(shape) and len(offsets) == 2):
        raise wrong
    begin, end = offsets
    bits = BITS.get(kind) if isinstance(kind, str) else None
    if begin > end or (bits is not None and prod(shape) * bits != (end - begin) * 8):
        raise wrong
    return begin, end, name


def _are_sizes(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MAX_DIMENSIONS
        and all(type(each) is int and 0 <= each <= MAX_NUMBER for each in value)
    )
