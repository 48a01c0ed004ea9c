"""Sizes that are read from first bytes are those that Pillow decodes."""

import io

import pytest
from PIL import Image

from comfyq.domain.files.picture_sizes import HEAD_BYTES, size_of

SIZES = [(1, 1), (640, 3), (3, 640), (300, 257)]


def encoded(form: str, size: tuple[int, int], mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("form", "mode", "options"),
    [
        ("PNG", "RGB", {}),
        ("GIF", "P", {}),
        ("BMP", "RGB", {}),
        ("WEBP", "RGB", {}),
        ("WEBP", "RGB", {"lossless": True}),
        ("WEBP", "RGBA", {"exif": b"Exif\0\0"}),
    ],
)
def test_sizes(form: str, mode: str, options: dict[str, object], size: tuple[int, int]) -> None:
    content = encoded(form, size, mode, **options)
    assert size_of(content[:HEAD_BYTES]) == size
    assert size_of(content[: HEAD_BYTES - 1]) is None


@pytest.mark.parametrize("content", [b"", b"x" * 99, encoded("JPEG", (9, 9)), b"RIFF" + b"x" * 40])
def test_other_files_have_none(content: bytes) -> None:
    assert size_of(content) is None
