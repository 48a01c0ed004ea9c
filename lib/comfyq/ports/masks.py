"""Port for masks that clients paint over pictures."""

from typing import Protocol


class Masks(Protocol):
    async def put_in(self, picture: bytes, mask: bytes) -> bytes:
        """Return a picture as PNG, with its texts, and with the mask's alpha channel as its own.

        Raises:
            InputInvalid: one of them is no picture, is broken or has too many pixels, or they have
                not the same size.
        """
        ...
