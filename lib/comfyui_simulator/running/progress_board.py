"""Progress of the running prompt's nodes, and its events for clients."""

import time
from collections.abc import Awaitable, Callable

from comfyui_simulator import messages
from comfyui_simulator.messages import NodeProgress, Preview
from comfyui_simulator.sockets import SocketHub

# In the newer generation an update is announced when both have passed since the last one.
THROTTLE_S = 0.1
THROTTLE_SHARE = 0.005


class ProgressBoard:
    """Track the progress of all nodes of one prompt, and send every change to the client."""

    def __init__(
        self, *, hub: SocketHub, prompt_id: str, client_id: str | None, throttles: bool
    ) -> None:
        self._hub = hub
        self._prompt_id = prompt_id
        self._client_id = client_id
        self._throttles = throttles
        self._nodes: dict[str, NodeProgress] = {}
        self._last_told: dict[str, tuple[float, int]] = {}

    def start(self, node_id: str) -> None:
        self._set(node_id, NodeProgress(0.0, 1.0, "running"))

    def finish(self, node_id: str) -> None:
        at = self._nodes.get(node_id)
        total = at.max if at else 1
        self._set(node_id, NodeProgress(total, total, "finished"))

    async def advance(
        self,
        node_id: str,
        value: int,
        total: int,
        picture: Callable[[], Awaitable[Preview]] | None,
    ) -> None:
        """Report a finished step. Its preview is painted only if a client would receive it."""
        if picture is None and self._is_too_soon(node_id, value, total):
            return
        self._last_told[node_id] = (time.monotonic(), value)
        is_watched = picture is not None and self._hub.is_watched(self._client_id)
        preview = await picture() if picture and is_watched else None
        self._set(node_id, NodeProgress(value, total, "running"))
        self._send_step(node_id, messages.progress(node_id, value, total, self._prompt_id), preview)

    def _send_step(self, node_id: str, step: messages.Event, preview: Preview | None) -> None:
        # A preview with metadata comes before its step, one without after it.
        if preview and self._hub.understands_metadata(self._client_id):
            self._hub.send_preview(preview, node_id, self._prompt_id, self._client_id)
            preview = None
        self._hub.send(step, self._client_id)
        if preview:
            self._hub.send_preview(preview, node_id, self._prompt_id, self._client_id)

    def _is_too_soon(self, node_id: str, value: int, total: int) -> bool:
        last = self._last_told.get(node_id)
        if not self._throttles or last is None or value >= total:
            return False
        last_s, last_value = last
        share = (value - last_value) / total if total else 1.0
        return time.monotonic() - last_s < THROTTLE_S or share < THROTTLE_SHARE

    def _set(self, node_id: str, at: NodeProgress) -> None:
        self._nodes[node_id] = at
        self._hub.send(messages.progress_state(self._nodes, self._prompt_id), self._client_id)
