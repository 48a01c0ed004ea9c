"""Clients that do at random what clients do, and note how each request was answered."""

import asyncio
import itertools
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic, perf_counter
from typing import Any
from uuid import uuid4

import aiohttp

KEPT = 20  # jobs that a client remembers
FILE = bytes(20_000)
WATCHED_S = 10.0  # at most, of one socket
REFUSALS = frozenset({404, 409, 429, 503})  # by design: of what is gone, ended, or too much
# Where there are too many, a connection whose request has not arrived gives way to a newer one.
FLOODING = REFUSALS | {408}
ENDED = frozenset({"completed", "failed", "canceled"})

_colors = itertools.count(1)


@dataclass(slots=True)
class Route:
    """How requests to a route were answered."""

    taken_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Notes:
    """What all clients of a phase have met."""

    designed: frozenset[int] = REFUSALS
    routes: dict[str, Route] = field(default_factory=dict)
    refusals: Counter[str] = field(default_factory=Counter)  # by status and code
    errors: Counter[str] = field(default_factory=Counter)  # whatever was not designed
    resent: int = 0  # requests on a kept connection that was closed at the same time

    def note(self, route: str, status: int, took_s: float, code: str) -> None:
        place = self.routes.setdefault(route, Route())
        if status in self.designed:
            place.refused_s.append(took_s)
            self.refusals[f"{status} {code}"] += 1
        elif status < 400:
            place.taken_s.append(took_s)
        else:
            self.errors[f"{route}: {status} {code}"] += 1


class SoakClient:
    """One client; ``think_s`` is the mean pause between two of its requests."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, notes: Notes, *, think_s: float
    ) -> None:
        self._session, self._url, self._notes = session, url, notes
        self._think_s = think_s
        self._jobs: deque[str] = deque(maxlen=KEPT)
        self._actions: Mapping[Callable[[], Awaitable[None]], int] = {
            self.submit: 4,
            self.read: 8,
            self.list: 2,
            self.watch: 1,
            self.cancel: 1,
            self.upload: 1,
        }

    async def run(self, *, until: float) -> None:
        """Send requests until that time (monotonic)."""
        actions, weights = list(self._actions), list(self._actions.values())
        while monotonic() < until:
            [action] = random.choices(actions, weights)
            try:
                await action()
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                self._notes.errors[f"{action.__name__}: {type(error).__name__}"] += 1
            if self._think_s:
                await asyncio.sleep(random.uniform(0, 2 * self._think_s))

    async def submit(self) -> None:
        request = {"workflow": "trivial", "color": next(_colors)}
        headers = {"Idempotency-Key": str(uuid4())}
        job = await self._ask("POST", "/generate", json=request, headers=headers)
        if "id" in job:
            self._jobs.append(job["id"])

    async def read(self) -> None:
        if self._jobs:
            await self._ask("GET", "/generate/{job_id}", job_id=random.choice(self._jobs))

    async def list(self) -> None:
        await self._ask("GET", "/generate", query="?limit=20")

    async def cancel(self) -> None:
        if self._jobs:
            await self._ask("DELETE", "/generate/{job_id}", job_id=random.choice(self._jobs))

    async def upload(self) -> None:
        headers = {"Content-Type": "application/octet-stream"}
        await self._ask("POST", "/assets", query="?filename=a.bin", data=FILE, headers=headers)

    async def watch(self) -> None:
        """Follow a job to its end, or for WATCHED_S; what is measured is its first frame."""
        if not self._jobs:
            return
        route, began = "WS /ws/progress/{job_id}", perf_counter()
        try:
            async with (
                asyncio.timeout(WATCHED_S),
                self._session.ws_connect(f"{self._url}/ws/progress/{self._jobs[-1]}") as socket,
            ):
                frame = await socket.receive_json()
                self._notes.note(route, 200, perf_counter() - began, "")
                while frame.get("status") not in ENDED:
                    message = await socket.receive()
                    if message.type is not aiohttp.WSMsgType.TEXT:
                        break
                    frame = message.json()
        except aiohttp.WSServerHandshakeError as refused:
            self._notes.note(route, refused.status, perf_counter() - began, "handshake")
        except TimeoutError:  # the job waits for longer
            pass

    async def _ask(
        self, method: str, path: str, *, query: str = "", job_id: str = "", **options: Any
    ) -> Mapping[str, Any]:
        began = perf_counter()
        url = f"{self._url}{path.format(job_id=job_id)}{query}"
        try:
            status, body = await self._answer(method, url, **options)
        except aiohttp.ClientConnectionError:
            # A server may close an idle connection whenever it likes; every request here is one
            # that may be sent twice: https://www.rfc-editor.org/rfc/rfc9112#section-9.3.1
            self._notes.resent += 1
            status, body = await self._answer(method, url, **options)
        took_s = perf_counter() - began
        self._notes.note(f"{method} {path}", status, took_s, str(body.get("code", "")))
        return body

    async def _answer(self, method: str, url: str, **options: Any) -> tuple[int, Mapping[str, Any]]:
        async with self._session.request(method, url, **options) as answer:
            return answer.status, await answer.json(content_type=None)
