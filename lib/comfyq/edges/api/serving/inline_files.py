"""Files within answers of JSON, as base64.

A large answer is sent while its files are read and encoded, piece by piece: however many clients
ask at the same time, none has more than a piece in memory, and none holds the event loop up.
"""

import re
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from secrets import token_hex

from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel

from comfyq.domain.files.output import Output
from comfyq.edges.api.output_views import ANSWER_BYTES
from comfyq.services.files.downloads import Downloads

HELD_BYTES = 64 * 1024 * 1024  # of files in an answer that a server of ours sends itself
WHOLE_BYTES = 1024 * 1024  # of an answer that is sent at once: a stream costs far more
JSON = "application/json"


def room_for_files(*, can_hold: bool) -> int:
    """Return how many bytes of files an answer has room for; ``can_hold``: no function makes it."""
    return HELD_BYTES if can_hold else ANSWER_BYTES * 3 // 4  # four for three


class InlineFiles:
    """The files of one answer, each with a text that stands for it until the answer is sent."""

    def __init__(self, downloads: Downloads) -> None:
        self._downloads = downloads
        self._outputs: list[Output] = []
        self._mark = token_hex(16)  # which no other text of the answer has

    def place(self, output: Output) -> str:
        """Return the text that stands for the content of an output."""
        self._outputs.append(output)
        return f"{self._mark}-{len(self._outputs) - 1};"

    async def answer(self, view: BaseModel, headers: Mapping[str, str] | None = None) -> Response:
        """Answer with a view, in which files have their places; what is null is left out.

        Raises OutputNotFound, if the answer has not begun: afterwards it ends too early.
        """
        text = view.model_dump_json(exclude_none=True)
        parts = re.split(rf"{self._mark}-([0-9]+);", text)  # each second one is a place
        texts, files = parts[::2], [self._outputs[int(place)] for place in parts[1::2]]
        size = sum(len(part.encode()) for part in texts)
        size += sum(_encoded_bytes(file.size) for file in files)
        pieces = self._pieces(texts, files)
        if size <= WHOLE_BYTES or not files:
            whole = b"".join([piece async for piece in pieces])
            return Response(whole, headers=headers, media_type=JSON)
        begin = await anext(pieces) + await anext(pieces)  # a missing file raises before the answer
        sent = {**(headers or {}), "Content-Length": str(size)}
        return StreamingResponse(_joined(begin, pieces), headers=sent, media_type=JSON)

    async def _pieces(self, texts: list[str], files: list[Output]) -> AsyncIterator[bytes]:
        for place, text in enumerate(texts):
            yield text.encode()
            if place < len(files):
                file = files[place]
                async for piece in _encoded(self._downloads.read(file, 0, file.size)):
                    yield piece


def _encoded_bytes(size: int) -> int:
    return (size + 2) // 3 * 4


async def _encoded(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Encode a file while it is read: three bytes are four, and only its end is padded."""
    rest = b""
    async for chunk in chunks:
        rest += chunk
        whole = len(rest) // 3 * 3
        yield b64encode(rest[:whole])
        rest = rest[whole:]
    yield b64encode(rest)


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk
