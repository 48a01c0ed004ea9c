"""ComfyUI's HTTP interface: one method a route."""

import json
import math
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import aiohttp
from anyio import CapacityLimiter, to_thread

from comfyq.adapters.comfyui.answers import mapping, sequence
from comfyq.adapters.comfyui.http.requests import Requests
from comfyq.adapters.comfyui.replies import (
    NO_SUCH_ROUTE,
    BadReply,
    Reply,
    expect_ok,
    translated,
)
from comfyq.adapters.comfyui.timing import EngineTiming
from comfyq.domain.errors import InputInvalid
from comfyq.ports.engine import (
    MARK,
    EngineUnavailable,
    PromptId,
    PromptState,
    Rendered,
    RenderedFileGone,
)

ENCODER = json.JSONEncoder()  # made once
UNQUOTED = re.compile(r"[A-Za-z0-9._~-]*")  # of what stands for itself in a URL
NAME_REFUSALS = (400, 403, 414)  # of /view: a name with "..", outside its folder, or too long
MAX_NAME_BYTES = 255  # of a file, in every common file system

Entry = Sequence[Any]  # [number, prompt id, graph, extra data, output nodes] in queue and history


@dataclass(frozen=True, slots=True)
class Sighting:
    """The state of one prompt in queue and history, read at one moment."""

    state: PromptState
    entry: Entry | None = None  # None where it is absent
    item: Mapping[str, Any] | None = None  # its entry in history, where it ended
    unreadable: str | None = None  # why ComfyUI cannot show that entry
    foreign: int = 0  # prompts before a pending one that comfyq did not submit


class ComfyClient:
    """Every method raises EngineUnavailable where ComfyUI does not answer as it should."""

    def __init__(
        self, requests: Requests, session: aiohttp.ClientSession, *, timing: EngineTiming
    ) -> None:
        self._requests = requests
        self._session = session  # for what is uploaded, as a form
        self._timing = timing
        self._readers = CapacityLimiter(1)  # of large answers, each in a thread

    async def post_prompt(self, body: Mapping[str, Any]) -> Reply:
        return await self._call("POST", "prompt", body)

    async def look(self, prompt_id: PromptId, *, within_s: float | None = None) -> Sighting:
        """Read the state of a prompt from queue and history.

        The queue is asked before the history, so a prompt that moves on meanwhile is not missed.
        """
        queued = await self._in_queue(prompt_id, within_s=within_s)
        if queued is not None:
            return queued
        try:
            item = await self.history(prompt_id, within_s=within_s)
        except BadReply as failed:  # ComfyUI fails only to show an entry that it has
            return Sighting(PromptState.ENDED, unreadable=str(failed))
        if item is None:
            return Sighting(PromptState.ABSENT)
        return Sighting(PromptState.ENDED, sequence(item.get("prompt")), item)

    async def queued(self, prompt_id: PromptId) -> PromptState | None:
        """Return whether a prompt is running or pending; None if it is out of the queue."""
        sighting = await self._in_queue(prompt_id)
        return None if sighting is None else sighting.state

    async def is_idle(self) -> bool:
        """Return whether nothing is running or pending."""
        queue = await self._json("queue")
        return not any(sequence(queue.get(key)) for key in _QUEUES)

    async def history(
        self, prompt_id: PromptId, *, within_s: float | None = None
    ) -> Mapping[str, Any] | None:
        """Return the history entry of an ended prompt; None if there is none."""
        answer = await self._json(f"history/{prompt_id}", within_s=within_s)
        item = answer.get(prompt_id)
        return item if isinstance(item, dict) else None

    async def delete(self, prompt_id: PromptId) -> None:
        """Take a prompt out of the queue if it is pending; otherwise nothing happens."""
        await self._ok("queue", {"delete": [prompt_id]})

    async def interrupt(self, prompt_id: PromptId) -> None:
        """Interrupt one prompt. Call this only if ComfyUI knows the targeted interrupt: older
        versions interrupt whichever prompt runs."""
        await self._ok("interrupt", {"prompt_id": prompt_id})

    async def cancel_job(self, prompt_id: PromptId) -> bool:
        """Cancel a pending or running prompt atomically; False if ComfyUI has no such route."""
        reply = await self._call("POST", f"api/jobs/{prompt_id}/cancel")
        if reply.status in NO_SUCH_ROUTE:
            return False
        expect_ok(reply, "cancel")
        return True

    async def free(self, body: Mapping[str, bool]) -> None:
        await self._ok("free", body)

    async def system_stats(self) -> Mapping[str, Any]:
        return await self._json("system_stats")

    async def object_info(self, class_type: str | None = None) -> Mapping[str, Any]:
        """The node classes, of which there may be megabytes: they are read in a thread."""
        path = "object_info" if class_type is None else f"object_info/{_quoted(class_type)}"
        reply = await self._call("GET", path)
        expect_ok(reply, path)
        return await to_thread.run_sync(reply.entries, limiter=self._readers)

    async def upload(self, form: aiohttp.FormData) -> str:
        """The name, with its folder, under which the file was stored.

        Raises:
            InputInvalid: the file is larger than this ComfyUI takes.
        """
        each = aiohttp.ClientTimeout(
            total=None, sock_connect=self._timing.connect_s, sock_read=self._timing.call_s
        )
        with translated("upload/image"):
            async with self._session.post("upload/image", data=form, timeout=each) as response:
                reply = Reply(response.status, await response.read())
        if reply.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise InputInvalid(
                "the file is larger than ComfyUI takes: have it started with a larger "
                "`--max-upload-size`, which is in MB and 100 unless it is given"
            )
        expect_ok(reply, "upload/image")
        given = mapping(reply.json())
        name, folder = given.get("name"), given.get("subfolder")
        if not isinstance(name, str):
            raise EngineUnavailable(f"not an answer of ComfyUI to upload: {reply.text[:200]!r}")
        return f"{folder}/{name}" if folder else name

    async def view(self, rendered: Rendered) -> AsyncIterator[bytes]:
        """A file's bytes.

        Raises:
            RenderedFileGone: the file does not exist, or ComfyUI cannot serve its name.
        """
        for is_last in (False, True):
            begun = False
            try:
                async for chunk in self._view(rendered):
                    begun = True
                    yield chunk
                return
            except EngineUnavailable as away:
                if begun:
                    raise
                await self.system_stats()  # raises if ComfyUI answers nothing at all
                if is_last:
                    raise _gone(rendered, f"ComfyUI cannot serve {rendered.filename!r}") from away

    async def _view(self, rendered: Rendered) -> AsyncIterator[bytes]:
        idle_s = self._timing.fetch_idle_s
        with translated("view"):
            async with self._requests.opened(_view_of(rendered), idle_s=idle_s) as answer:
                if answer.status == 404:
                    raise _gone(rendered, f"{rendered.filename} is not in {rendered.folder}")
                if answer.status in NAME_REFUSALS:
                    raise RenderedFileGone(
                        f"ComfyUI serves no file of the name {rendered.filename!r}", for_good=True
                    )
                if answer.status != 200:
                    content = await answer.whole(within_s=self._timing.call_s)
                    expect_ok(Reply(answer.status, content), "view")
                async for chunk in answer.pieces(within_s=idle_s):
                    yield chunk

    async def _in_queue(
        self, prompt_id: PromptId, *, within_s: float | None = None
    ) -> Sighting | None:
        queue = await self._json("queue", within_s=within_s)
        for key, state in _QUEUES.items():
            for entry in map(sequence, sequence(queue.get(key))):
                if len(entry) > 1 and entry[1] == prompt_id:
                    is_pending = state is PromptState.PENDING
                    foreign = _foreign_before(entry, queue) if is_pending else 0
                    return Sighting(state, entry, foreign=foreign)
        return None

    async def _json(self, path: str, *, within_s: float | None = None) -> dict[str, Any]:
        reply = await self._call("GET", path, within_s=within_s)
        expect_ok(reply, path)
        answer = reply.json()
        if not isinstance(answer, dict):
            raise BadReply(f"not an answer of ComfyUI to {path}: {reply.text[:200]!r}")
        return answer

    async def _ok(self, path: str, body: Mapping[str, Any]) -> None:
        expect_ok(await self._call("POST", path, body), path)

    async def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        within_s: float | None = None,
    ) -> Reply:
        content = None if body is None else ENCODER.encode(body).encode()
        with translated(path):
            within_s = within_s or self._timing.call_s
            return Reply(*await self._requests.ask(method, path, content, within_s=within_s))


_QUEUES = {"queue_running": PromptState.RUNNING, "queue_pending": PromptState.PENDING}


def _foreign_before(waiting: Entry, queue: Mapping[str, Any]) -> int:
    """Count the prompts in ComfyUI's queue that run before ``waiting`` and are not comfyq's."""
    running, pending = (map(sequence, sequence(queue.get(key))) for key in _QUEUES)
    before = [*running, *(entry for entry in pending if _number(entry) < _number(waiting))]
    return sum(not _is_ours(entry) for entry in before)


def _number(entry: Entry) -> float:
    """Return an entry's place in ComfyUI's queue: the lowest number runs first."""
    number = entry[0] if entry else None
    return number if isinstance(number, int | float) else math.inf


def _is_ours(entry: Entry) -> bool:
    return len(entry) > 3 and MARK in mapping(entry[3])


def _view_of(rendered: Rendered) -> str:
    name, subfolder = _quoted(rendered.filename), _quoted(rendered.subfolder)
    return f"view?filename={name}&subfolder={subfolder}&type={_quoted(rendered.folder)}"


def _quoted(text: str) -> str:
    """Quote a text for a path or query; most need it not."""
    return text if UNQUOTED.fullmatch(text) else quote(text, safe="")


def _gone(rendered: Rendered, message: str) -> RenderedFileGone:
    return RenderedFileGone(message, for_good=_is_impossible(rendered))


def _is_impossible(rendered: Rendered) -> bool:
    """Return whether no file has the name, or no request can carry it: what was no Unicode was
    replaced when the name was read."""
    path = f"{rendered.subfolder}/{rendered.filename}"
    is_long = any(len(part.encode()) > MAX_NAME_BYTES for part in path.split("/"))
    return is_long or "\ufffd" in path or "\0" in path
