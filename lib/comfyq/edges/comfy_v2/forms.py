"""Text fields of a form of the Comfy API v2, which stand before its file or after."""

from dataclasses import dataclass
from datetime import timedelta

from comfyq.domain.files.media_types import told_or_seen
from comfyq.edges.api.multipart import MEDIA_TYPE, FormFile
from comfyq.edges.comfy_v2.errors import HashMismatch, InvalidForm, refused
from comfyq.services.files.descriptions import Description
from comfyq.wire.comfy_v2.requests import LEAST_S, MOST_S

BLAKE3 = "blake3:"
MAX_DIGITS = 9


@dataclass(frozen=True, slots=True)
class FormDescription:
    form: FormFile
    head: bytes  # how the file begins

    def of(self, blake3: str) -> Description:
        """Return what the form says of the file, which has arrived and has this hash.

        Raises:
            HashMismatch: it was announced with another one.
            InvalidForm: the time that it is to be kept for is no such time.
        """
        expected = self._text("expected_hash")
        if expected and expected.lower() != f"{BLAKE3}{blake3}":
            raise HashMismatch(f"the file that arrived has the hash {BLAKE3}{blake3}")
        told = self._text("content_type").encode()
        is_type = MEDIA_TYPE.fullmatch(told) is not None  # another text could be no header
        return Description(
            filename=self._text("file_path") or self.form.filename,
            content_type=told_or_seen(
                told.decode() if is_type else self.form.content_type, self.head
            ),
            needed_for=self._kept_for(),
        )

    def _kept_for(self) -> timedelta:
        text = self._text("expires_in")
        if not text:
            return timedelta(0)
        is_number = text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
        if not is_number or not LEAST_S <= int(text) <= MOST_S:
            message = f"must be a whole number of seconds from {LEAST_S} to {MOST_S}"
            raise refused("expires_in", message, InvalidForm)
        return timedelta(seconds=int(text))

    def _text(self, name: str) -> str:
        """Return the first text of a field; empty if there is none."""
        return next(iter(self.form.texts.get(name, ())), "").strip()
