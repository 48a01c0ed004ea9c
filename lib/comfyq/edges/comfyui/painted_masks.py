"""Masks that clients have painted over one of their files, as they send them."""

import json
from collections.abc import AsyncIterator, Mapping

from comfyq.domain.errors import TooLarge
from comfyq.edges.api.multipart import FormFile
from comfyq.edges.comfyui.prompts import refused

ORIGINAL = "original_ref"  # the field that names the file


async def mask_in(form: FormFile, *, max_bytes: int) -> AsyncIterator[bytes]:
    """Yield the file of a form, which is read to its end; raises TooLarge, BadForm."""
    size = 0
    async for chunk in form.chunks:
        size += len(chunk)
        if size > max_bytes:
            raise TooLarge(f"the mask has more than {max_bytes} bytes (COMFYQ_INPUT_MAX_BYTES)")
        yield chunk


def original_of(form: FormFile) -> tuple[str, str, str]:
    """Return name, subfolder and folder of the file that a mask was painted over.

    Raises:
        InvalidRequest: the form, which was read to its end, names none.
    """
    try:
        named = json.loads(text_of(form, ORIGINAL))
    except ValueError:
        named = None
    if not isinstance(named, Mapping) or not isinstance(named.get("filename"), str):
        message = 'names no picture; write {"filename": …, "subfolder": …, "type": …}'
        raise refused(ORIGINAL, message)
    return named["filename"], str(named.get("subfolder") or ""), str(named.get("type") or "output")


def text_of(form: FormFile, name: str) -> str:
    """Return the last text of a form's field; empty: there is none."""
    return (form.texts.get(name) or [""])[-1]
