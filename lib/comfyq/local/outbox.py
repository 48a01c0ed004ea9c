"""The frames that wait for one socket."""

import asyncio
from collections import deque

from comfyq.wire.generate.frames import PREVIEW_BEGINS


class BufferFull(Exception):
    """The client reads more slowly than frames are posted to it."""


class Outbox:
    """Frames in order, up to a number of them; a preview waits until no other frame does.

    Of previews only the newest waits, and takes no other frame's place: a slow client loses
    previews first.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._frames: deque[str] = deque()
        self._preview: str | None = None
        self._news = asyncio.Event()

    def put(self, text: str) -> None:
        """Add a frame; raises BufferFull."""
        if text.startswith(PREVIEW_BEGINS):
            self._preview = text
        elif len(self._frames) >= self._most:
            raise BufferFull
        else:
            self._frames.append(text)
        self._news.set()

    async def get(self) -> str:
        """Take the next frame, when there is one."""
        while not self._frames and self._preview is None:
            self._news.clear()
            await self._news.wait()
        if self._frames:
            return self._frames.popleft()
        preview, self._preview = self._preview or "", None
        return preview
