"""Pictures of SaveImageWebsocket, which ComfyUI sends through a socket and saves nowhere.

Here they are saved like others, so that nothing is lost with a socket, and sent at the job's end.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from comfyq.domain.caller import Caller
from comfyq.domain.files.output import OutputKind
from comfyq.domain.job import Job, JobStatus
from comfyq.edges.comfyui.views import ViewServices
from comfyq.services.files.downloads import Downloads
from comfyq.wire.comfyui.messages import preview

SENDER = "SaveImageWebsocket"
MOST_BYTES = 64 * 1024 * 1024  # of one job; the rest is on /history


class SentServices(ViewServices, Protocol):
    """The services that sending pictures needs."""

    @property
    def downloads(self) -> Downloads: ...


@dataclass(frozen=True, slots=True)
class SentPictures:
    services: SentServices

    async def of(self, caller: Caller, job: Job) -> Mapping[str, list[bytes]]:
        """Return the messages with pictures that a job has made to be sent, by node."""
        if job.status is not JobStatus.SUCCEEDED:
            return {}
        graph = (await self.services.queries.spec(caller, job.id)).graph
        senders = {node for node, body in graph.items() if body["class_type"] == SENDER}
        if not senders:
            return {}
        _, page = await self.services.queries.asked_and_outputs(job)
        sent: dict[str, list[bytes]] = {}
        left = MOST_BYTES
        for output in page.outputs:
            left -= output.size
            if output.node in senders and output.kind is OutputKind.IMAGE and left >= 0:
                content = await _whole(self.services.downloads.read(output, 0, output.size))
                sent.setdefault(output.node, []).append(preview(content, output.content_type))
        return sent


async def _whole(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])
