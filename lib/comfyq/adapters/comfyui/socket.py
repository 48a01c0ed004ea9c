"""The one socket to ComfyUI: opened again and again, never two at a time.

ComfyUI identifies a socket by its client id. If ComfyUI notices the end of an old socket only after
a new one of the same id was opened, the new one stays open but never receives anything. So a socket
is closed before the next is opened; if ComfyUI may still have the old one, the next has a fresh id;
and a socket that seems to receive nothing is replaced.
"""

import asyncio
import json
import random
import uuid
from collections.abc import Callable

import aiohttp

from comfyq.adapters.comfyui.timing import EngineTiming

# Must be the first text frame after each connect: ComfyUI looks at no later one.
FEATURE_FLAGS = json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
MAX_FRAME_BYTES = 64 * 1024 * 1024  # an execution_error holds whole tensors as text


class Socket:
    """Keep one socket open while `run` runs, and pass its messages to callbacks.

    The callbacks are called from the reader, so they must neither wait nor raise: a client that
    stops reading stalls ComfyUI's events for every client.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        client_id: str | None,
        timing: EngineTiming,
        on_text: Callable[[str], None],
        on_binary: Callable[[bytes], None],
        on_change: Callable[[], None],
    ) -> None:
        self.client_id = client_id or uuid.uuid4().hex
        self.is_open = False
        self._session = session
        self._timing = timing
        self._on_text = on_text
        self._on_binary = on_binary
        self._on_change = on_change
        self._patience: asyncio.Timeout | None = None
        self._is_suspected = False

    async def run(self) -> None:
        """Keep the socket open until canceled."""
        pause_s = self._timing.backoff_min_s
        while True:
            if await self._serve_one():
                pause_s = self._timing.backoff_min_s
            await asyncio.sleep(pause_s * random.uniform(1.0, 1.5))
            pause_s = min(2 * pause_s, self._timing.backoff_max_s)

    def suspect(self) -> None:
        """Note that an expected event of ComfyUI did not arrive.

        ComfyUI announces each change of its queue to every socket, so a socket that receives
        nothing from now on is replaced.
        """
        patience = self._patience
        if patience is not None and not self._is_suspected:
            self._is_suspected = True
            patience.reschedule(asyncio.get_running_loop().time() + self._timing.suspect_s)

    async def _serve_one(self) -> bool:
        """Open a socket and read it to its end; return whether it opened."""
        opened = False
        try:
            async with self._session.ws_connect(
                "ws",
                params={"clientId": self.client_id},
                heartbeat=self._timing.heartbeat_s,
                timeout=aiohttp.ClientWSTimeout(ws_close=self._timing.close_s),
                max_msg_size=MAX_FRAME_BYTES,
            ) as ws:
                await ws.send_str(FEATURE_FLAGS)
                opened = True
                await self._read(ws)
        except TimeoutError:
            self._doubt()
        except (aiohttp.ClientError, OSError):
            pass  # refused or cut off: the next try reports it again
        finally:
            self._set_open(False)
        return opened

    async def _read(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        """Read until the socket ends; raises TimeoutError if nothing comes after `suspect`."""
        try:
            async with asyncio.timeout(None) as self._patience:
                self._is_suspected = False
                self._set_open(True)
                async for message in ws:
                    self._heard(message)
        finally:
            self._patience = None
        if isinstance(ws.exception(), TimeoutError):  # no pong
            self._doubt()

    def _heard(self, message: aiohttp.WSMessage) -> None:
        if self._is_suspected and self._patience is not None:
            self._is_suspected = False
            self._patience.reschedule(None)
        if message.type is aiohttp.WSMsgType.TEXT:
            self._on_text(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            self._on_binary(message.data)

    def _doubt(self) -> None:
        """Return whether ComfyUI may not have noticed that this socket has ended.

        A socket that was cut off keeps its id, so that events of running prompts arrive again: most
        often ComfyUI noticed too. If it did not, `suspect` detects that at the next prompt.
        """
        self.client_id = uuid.uuid4().hex

    def _set_open(self, is_open: bool) -> None:
        if self.is_open != is_open:
            self.is_open = is_open
            self._on_change()
