"""An API in memory for the MCP server, and MCP clients of it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from mcp import Client

from comfyq.mcp.api import Api, ApiError, Json, NotFound
from comfyq.mcp.limits import CallLimits
from comfyq.mcp.server import McpServer

JOB = "11111111-2222-4333-8444-555555555555"
PICTURE = b"\x89PNG, a picture"
SCHEMA = {
    "type": "object",
    "properties": {"prompt": {"type": "string"}, "seed": {"type": "integer", "minimum": -1}},
    "required": ["prompt"],
    "additionalProperties": False,
}
ERAS = ("legacy", "auto")  # of the protocol: before 2026, with sessions; and since


def view(name: str = "sd15", **changed: Any) -> dict[str, Any]:
    """Return a workflow as the API shows it."""
    shown = {
        "name": name,
        "title": name.upper(),
        "description": f"Pictures by {name}.",
        "version": "1.0.0",
        "available": True,
        "reasons": [],
        "forbidden": False,
        "parameters": SCHEMA,
    }
    return {**shown, **changed}


def output(name: str = "a.png", *, kind: str = "image", **changed: Any) -> dict[str, Any]:
    shown = {
        "index": 0,
        "node": "9",
        "filename": name,
        "kind": kind,
        "content_type": f"{kind}/{name.rpartition('.')[2]}",
        "size": len(PICTURE),
        "blake3": "ab" * 32,
        "url": f"http://comfyq.invalid/{name}?signature=s",
        "text": None,
    }
    return {**shown, **changed}


def job(**changed: Any) -> dict[str, Any]:
    """Return a job as the API shows it."""
    shown = {
        "id": JOB,
        "status": "queued",
        "progress": 0.0,
        "workflow": "sd15",
        "seed": 7,
        "simulated": False,
        "error": None,
        "error_code": None,
        "warnings": [],
        "outputs": [],
        "more_outputs": None,
        "waits_for": None,
    }
    return {**shown, **changed}


@dataclass
class MemoryApi(Api):
    """Its jobs go through ``states`` as fast as they are followed; the last one stays."""

    views: list[dict[str, Any]] = field(default_factory=lambda: [view()])
    states: Sequence[Json] = (job(status="running", progress=0.5), job(status="completed"))
    stays_open: bool = False  # following ends with no state, but when the call does
    refusal: ApiError | None = None  # of everything
    submitted: list[tuple[str, Json]] = field(default_factory=list)
    asked: list[Mapping[str, str]] = field(default_factory=list)  # for lists of jobs
    canceled: asyncio.Event = field(default_factory=asyncio.Event)
    followed: asyncio.Event = field(default_factory=asyncio.Event)

    async def workflows(self) -> Sequence[Json]:
        self._refuse()
        return self.views

    async def workflow(self, name: str) -> Json:
        for each in self.views:
            if each["name"] == name and each["version"]:
                return each
        raise NotFound(f"the server refused it (404 workflow-not-found): no workflow {name!r}")

    async def submit(self, workflow: str, values: Json) -> Json:
        self._refuse()
        await self.workflow(workflow)
        self.submitted.append((workflow, values))
        return job(workflow=workflow)

    async def follow(self, job_id: str) -> AsyncGenerator[Json, None]:
        for state in self.states:
            yield state
        self.followed.set()
        if self.stays_open:
            await asyncio.Event().wait()

    async def job(self, job_id: str) -> Json:
        self._refuse()
        return self.states[-1]

    async def story(self, job_id: str) -> Json:
        return {**self.states[-1], "parameters": {"prompt": "a fox", "seed": 7}}

    async def jobs(self, narrowed: Mapping[str, str]) -> Json:
        self.asked.append(narrowed)
        return {"jobs": [self.states[-1]], "next_cursor": "older"}

    async def cancel(self, job_id: str) -> Json:
        self.canceled.set()
        return job(status="canceled")

    async def read(self, job_id: str, output: Json) -> bytes:
        return PICTURE

    def _refuse(self) -> None:
        if self.refusal is not None:
            raise self.refusal


@asynccontextmanager
async def client_of(
    api: Api, *, era: str = "auto", every_s: float = 0, **how: Any
) -> AsyncIterator[Client]:
    """Yield an MCP client of a server over ``api``, in this process."""
    server = server_of(api, how.pop("limits", None))
    async with (
        server.following_workflows(every_s=every_s),
        Client(server.server, mode=era, **how) as client,
    ):
        yield client


def server_of(api: Api, limits: CallLimits | None = None, *, shown: Api | None = None) -> McpServer:
    """Return an MCP server over ``api``; clients use ``shown``, if there is one."""
    return McpServer(api, lambda: shown or api, limits or CallLimits())
