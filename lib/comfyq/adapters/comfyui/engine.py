"""The engine port over a real ComfyUI."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import aiohttp

from comfyq.adapters.comfyui.answers import mapping, sequence
from comfyq.adapters.comfyui.client import ComfyClient
from comfyq.adapters.comfyui.http.requests import Requests
from comfyq.adapters.comfyui.socket import Socket
from comfyq.adapters.comfyui.submit.cancellation import cancel
from comfyq.adapters.comfyui.submit.submission import PromptSubmission
from comfyq.adapters.comfyui.timing import EngineTiming
from comfyq.adapters.comfyui.tracking.follower import Follower
from comfyq.adapters.comfyui.tracking.mailbox import Mailboxes
from comfyq.adapters.comfyui.tracking.messages import preview, signals
from comfyq.domain.job.preview import PreviewMethod
from comfyq.ports.engine import (
    EngineEvent,
    EngineInfo,
    Preview,
    Prompt,
    PromptId,
    PromptState,
    Rendered,
)

MAX_DEVICES = 64
MAX_CHARS = 200  # of a version or a device's name


class ComfyEngine:
    """One ComfyUI, by URL. Works inside ``async with``, which owns its session and its socket.

    ``preview_method`` is how it is to make previews; None: as it was started. A ComfyUI older than
    0.4.0 makes them as it was started in any case.
    """

    def __init__(
        self,
        url: str,
        *,
        client_id: str | None = None,
        timing: EngineTiming | None = None,
        preview_method: PreviewMethod | None = None,
    ) -> None:
        self._url = url.rstrip("/") + "/"
        self._client_id = client_id
        self._timing = timing or EngineTiming()
        self._preview_method = preview_method
        self._mailboxes = Mailboxes()

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(
            total=self._timing.call_s, sock_connect=self._timing.connect_s
        )
        self._session = aiohttp.ClientSession(self._url, timeout=timeout)
        self._requests = Requests(self._url, connect_s=self._timing.connect_s)
        self._client = ComfyClient(self._requests, self._session, timing=self._timing)
        self._socket = Socket(
            self._session,
            client_id=self._client_id,
            timing=self._timing,
            on_text=self._heard,
            on_binary=self._seen,
            on_change=self._mailboxes.miss,
        )
        self._tasks = await asyncio.TaskGroup().__aenter__()
        self._reader = self._tasks.create_task(self._socket.run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._reader.cancel()
        try:
            # Only a cancellation is passed to the group, which would wrap any other exception.
            if isinstance(error, asyncio.CancelledError):
                await self._tasks.__aexit__(kind, error, traceback)
            else:
                await self._tasks.__aexit__(None, None, None)
        finally:
            self._requests.close()
            await self._session.close()

    @property
    def is_connected(self) -> bool:
        """Return whether the socket is open; without it, runs are followed by polling."""
        return self._socket.is_open

    @property
    def client_id(self) -> str:
        """Return the socket's client id. It changes when ComfyUI might still know the old one."""
        return self._socket.client_id

    async def submit(self, prompt: Prompt) -> None:
        """Implement the port. After EngineUnavailable, ComfyUI may have the prompt: call ``find``.

        Also raises EngineError for a ComfyUI older than 0.3.44, which takes no prompt ids.
        """
        if self._preview_method is not None:
            extra = {**prompt.extra_data, "preview_method": self._preview_method}
            prompt = replace(prompt, extra_data=extra)
        client_id = self._socket.client_id
        self._mailboxes.expect(prompt.id, client_id=client_id)
        submission = PromptSubmission(
            prompt, client_id=client_id, client=self._client, timing=self._timing
        )
        try:
            await submission.run()
        except BaseException:
            self._mailboxes.forget(prompt.id)
            raise

    def follow(self, prompt_id: PromptId) -> AsyncIterator[EngineEvent]:
        """As the port says; Started comes first, also of a prompt that has ended already.

        Raises EngineUnavailable after ComfyUI has not answered for `EngineTiming.unavailable_s`.
        """
        return Follower(
            prompt_id,
            mailboxes=self._mailboxes,
            client=self._client,
            socket=self._socket,
            timing=self._timing,
        ).events()

    def preview(self, prompt_id: PromptId) -> Preview | None:
        return self._mailboxes.take_preview(prompt_id)

    async def find(self, prompt_id: PromptId) -> PromptState:
        return (await self._client.look(prompt_id)).state

    async def cancel(self, prompt_id: PromptId) -> bool:
        """As the port says; a prompt that has ended or is not there is canceled already.

        Raises EngineError where this ComfyUI (before 0.3.56) cannot interrupt one prompt only.
        """
        return await cancel(prompt_id, client=self._client, timing=self._timing)

    def fetch(self, rendered: Rendered) -> AsyncIterator[bytes]:
        """As the port says; of a text output, the text in UTF-8."""
        if rendered.text is not None:
            return _encoded(rendered.text)
        return self._client.view(rendered)

    async def info(self) -> EngineInfo:
        stats = await self._client.system_stats()
        system = mapping(stats.get("system"))
        devices = [mapping(device) for device in sequence(stats.get("devices"))[:MAX_DEVICES]]
        return EngineInfo(
            version=str(system.get("comfyui_version", "unknown"))[:MAX_CHARS],
            devices=tuple(str(device.get("name", "unknown"))[:MAX_CHARS] for device in devices),
            simulated=bool(system.get("simulated", False)),
        )

    async def object_info(self) -> Mapping[str, Any]:
        """ComfyUI's catalogue of node classes."""
        return await self._client.object_info()

    async def free(self, *, unload_models: bool = True) -> None:
        """Request that ComfyUI drop cached results and models, which it does once it is idle."""
        await self._client.free({"free_memory": True, "unload_models": unload_models})

    async def is_idle(self) -> bool:
        """Return whether ComfyUI's queue is empty, and nothing runs."""
        return await self._client.is_idle()

    async def upload(
        self, name: str, content: bytes | AsyncIterator[bytes], *, subfolder: str = ""
    ) -> str:
        """Put a file into ComfyUI's input folder; returns the name that graphs must use.

        The name differs from the given one if another file of that name exists.
        """
        form = aiohttp.FormData()
        form.add_field("image", content, filename=name, content_type="application/octet-stream")
        form.add_field("type", "input")
        form.add_field("subfolder", subfolder)
        return await self._client.upload(form)

    def _heard(self, text: str) -> None:
        self._mailboxes.deliver(*signals(text))

    def _seen(self, frame: bytes) -> None:
        if shown := preview(frame):
            self._mailboxes.deliver_preview(shown)


async def _encoded(text: str) -> AsyncIterator[bytes]:
    yield text.encode()
