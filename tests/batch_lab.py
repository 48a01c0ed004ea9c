"""A batch, followed by a socket or stream."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from comfyq.domain.job import JobId
from comfyq.ports.table import Put, Write
from tests.api_lab import output
from tests.event_lab import EventLab
from tests.socket_events import connected, event

SOCKET = "c1="


class BatchLab(EventLab):
    def batch(self, size: int) -> tuple[str, list[JobId]]:
        requests = [{"prompt": f"fox {number}"} for number in range(size)]
        answer = self.client.post("/generate/batch", json={"requests": requests}).json()
        return answer["batch_id"], [JobId(item["job"]["id"]) for item in answer["items"]]

    async def send(self, action: str, **fields: Any) -> None:
        body = json.dumps({"action": action, **fields})
        await self.sockets.handle(event(action, SOCKET, body=body))

    @property
    def frames(self) -> list[dict[str, Any]]:
        return self.notifier.frames(SOCKET)

    def before_jobs(self, act: Callable[[int], Awaitable[None]]) -> None:
        """Call ``act`` before each transaction that stores jobs, with its number from 1 on."""
        write, count = self.table.write, 0

        async def acting(*writes: Write, synced: bool = True) -> None:
            nonlocal count
            if any(isinstance(each, Put) and each.item["sk"] == "SPEC" for each in writes):
                count += 1
                await act(count)
            await write(*writes, synced=synced)

        self.table.write = acting  # type: ignore[method-assign]

    def shown(self, batch_id: str) -> dict[str, Any]:
        """Show a batch with its items."""
        shown: dict[str, Any] = self.client.get(f"/generate/batch/{batch_id}?items=true").json()
        return shown

    async def finish(self, job_id: JobId) -> None:
        await self.announce(await self.succeed(job_id, output(f"{job_id}.png")))


async def socket_lab() -> BatchLab:
    lab = BatchLab(is_socket=True)
    assert await connected(lab.sockets, SOCKET, None) == (200, "")
    return lab
