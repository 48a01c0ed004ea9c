"""Which files are models, seen by their first bytes; and which run code when they are loaded."""

import json
from typing import Any

import pytest

from comfyq.domain.models.errors import ModelRefused
from comfyq.domain.models.formats import (
    LENGTH_BYTES,
    MAX_HEADER_BYTES,
    START_BYTES,
    check_header,
    check_permitted,
    header_bytes,
)
from tests.cells import Cells
from tests.model_hub import PAGE, safetensors


def check(content: bytes, file: str = "x.safetensors") -> None:
    length = header_bytes(file, content[:START_BYTES], len(content))
    if length:
        header = content[LENGTH_BYTES : LENGTH_BYTES + length]
        check_header(file, header, len(content) - LENGTH_BYTES - length)


def packed(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def tensor(begin: Any, end: Any, **other: Any) -> dict[str, Any]:
    return {"dtype": "U8", "shape": [4], "data_offsets": [begin, end], **other}


BROKEN = {
    "empty": b"",
    "short": b"\x02\x00\x00",
    "page": PAGE,
    "header beyond the file": (1_000).to_bytes(8, "little") + b"{}",
    "header without end": (2**63).to_bytes(8, "little") + b"{}" * 100,
    "large header": (MAX_HEADER_BYTES + 1).to_bytes(8, "little") + b" " * 100,
    "no JSON": packed(b'{"a": '),
    "not UTF-8": packed(b'{"\xff": 1}'),
    "deep": packed(b"[" * 100_000),
    "list": packed([1, 2]),
    "blank first": packed(b" {}"),
    "long number": packed(b'{"a": ' + b"9" * 10_000 + b"}"),
    "no tensor": packed({"a": 3}),
    "offsets missing": packed({"a": {"dtype": "U8", "shape": [4]}}, b"1234"),
    "negative": packed({"a": tensor(-4, 0)}, b"1234"),
    "turned": packed({"a": tensor(4, 0)}, b"1234"),
    "boolean": packed({"a": tensor(False, 4)}, b"1234"),
    "outside": packed({"a": tensor(0, 4)}, b"123"),
    "too little named": packed({"a": tensor(0, 4)}, b"12345"),
    "hole": packed({"a": tensor(0, 4), "b": tensor(5, 9)}, b"123456789"),
    "overlap": packed({"a": tensor(0, 4), "b": tensor(2, 6)}, b"123456"),
    "shape": packed({"a": tensor(0, 4, shape=[5])}, b"1234"),
    "kind": packed({"a": tensor(0, 4, dtype="F32")}, b"1234"),
    "huge shape": packed({"a": tensor(0, 4, shape=[2**63] * 65)}, b"1234"),
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
}


def test_a_safetensors_file_is_what_its_header_says() -> None:
    check(safetensors())
    check(packed({}))
    check(packed({"b": tensor(4, 8, dtype="F8_NEW"), "a": tensor(0, 4)}, b"12345678"))
    with Cells() as cells:
        for name, content in BROKEN.items():
            with cells.cell(name), pytest.raises(ModelRefused):
                check(content)


def test_other_formats_are_seen_as_far_as_they_can_be() -> None:
    check(b"GGUF\x03\x00", "x.gguf")
    check(b"anything", "x.pth")
    with pytest.raises(ModelRefused, match="no GGUF"):
        check(PAGE, "X.GGUF")
    with pytest.raises(ModelRefused, match="pointer of Git LFS"):
        check(BROKEN["pointer"], "x.pth")


def test_what_may_run_code_is_refused_unless_it_is_named() -> None:
    for file in ("a.safetensors", "A.SFT", "a.gguf"):
        check_permitted(file, ())
    with Cells() as cells:
        for ending in ("ckpt", "pt", "pt2", "pth", "bin", "pkl", "PTH", "py", "safetensors.bin"):
            with cells.cell(ending), pytest.raises(ModelRefused, match="COMFYQ_MODEL_PICKLES"):
                check_permitted(f"4x/a.{ending}", ("b.pth", ".pth", "*"))
            with cells.cell(f"{ending} named"):
                check_permitted(f"4x/a.{ending}", (f"a.{ending}",))
