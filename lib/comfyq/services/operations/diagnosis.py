"""Trying, without harm, each thing that a worker does.

What is left untried: sending to the queue (a worker would be woken for nothing), and receiving
while jobs wait (each receipt counts towards the queue's limit).
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path

from comfyq.domain.diagnosis import Finding, FindingState
from comfyq.domain.errors import DomainError, OutputNotFound
from comfyq.ports.assets import Assets
from comfyq.ports.gauge import Depth, QueueGauge
from comfyq.ports.notifier import Connection, ConnectionGone, Notifier
from comfyq.ports.table import ConditionFailed, Delete, Put, Table, Write
from comfyq.services.operations.findings import judge_clock, judge_dead, judge_depth
from comfyq.services.operations.remedies import is_refusal, remedy_for

NOBODY = "L0SM9cOFvHcCIhw="  # as API Gateway's connection ids look
WRITTEN = ("outputs", "catalogues")  # where workers store files
ALLOWED = "allowed"


class Diagnosis:
    """Looks at what the deployment's services let these credentials do.

    ``new_id`` names what is looked for and must not be there; ``sample`` is a small file that is
    stored and deleted again; ``skew`` is how far the store's clock is ahead after an answer.
    """

    def __init__(
        self,
        *,
        table: Table,
        assets: Assets,
        notifier: Notifier,
        jobs: QueueGauge,
        dead: Mapping[str, QueueGauge],
        endpoint: str | None,
        sample: Path,
        skew: Callable[[], timedelta],
        new_id: Callable[[], str],
    ) -> None:
        self._table = table
        self._assets = assets
        self._notifier = notifier
        self._jobs = jobs
        self._dead = dead
        self._endpoint = endpoint
        self._sample = sample
        self._skew = skew
        self._id = f"check-{new_id()}"

    async def run(self) -> list[Finding]:
        """Never raises for a service: what it says is what is found."""
        key = (f"CHECK#{self._id}", "META")
        return [
            await _tried("table: read", self._table.get(key)),
            await _tried(
                "table: write", self._refused(Put({"pk": key[0], "sk": key[1]}, version=1))
            ),
            await _tried("table: delete", self._refused(Delete(key, version=1))),
            await _tried("table: index ready", self._table.query("ready", key[0], limit=1)),
            await _tried("queue: hide, delete", self._jobs.try_receipts()),
            *await self._queue(),
            *[await self._dead_queue(name, gauge) for name, gauge in self._dead.items()],
            *[await _tried(f"files: {folder}", self._stored(folder)) for folder in WRITTEN],
            await self._read(),
            *await self._sockets(),
            judge_clock("clock: AWS", self._skew()),
        ]

    async def _refused(self, write: Write) -> None:
        """A write whose condition cannot hold; rights are looked at before conditions."""
        try:
            await self._table.write(write)
        except ConditionFailed:
            return

    async def _queue(self) -> list[Finding]:
        found, depth = await _depth("queue", self._jobs, judge_depth)
        if depth is None:
            return [found]
        if depth.waiting:
            told = "not tried: a receipt counts, and jobs wait"
            return [found, Finding("queue: receive", FindingState.OK, told)]
        return [found, await _tried("queue: receive", self._jobs.try_receive())]

    async def _dead_queue(self, name: str, gauge: QueueGauge) -> Finding:
        found, _ = await _depth(f"dead letters: {name}", gauge, judge_dead)
        return found

    async def _stored(self, folder: str) -> None:
        key = f"{folder}/{self._id}"
        await self._assets.put(key, self._sample, content_type="text/plain")
        await self._assets.delete(key)

    async def _read(self) -> Finding:
        subject = "files: assets"
        try:
            async for _ in self._assets.read(f"assets/{self._id}"):
                pass
        except OutputNotFound:
            return Finding(subject, FindingState.OK, ALLOWED)
        except DomainError as failed:
            if not is_refusal(str(failed)):
                return _wrong(subject, failed)
            told = "not known: without s3:ListBucket, S3 refuses what is not there as well"
            return Finding(subject, FindingState.OK, told)
        return Finding(subject, FindingState.OK, ALLOWED)

    async def _sockets(self) -> list[Finding]:
        if self._endpoint is None:
            return []
        return [await _tried("sockets: post", self._posted(Connection(NOBODY, self._endpoint)))]

    async def _posted(self, nobody: Connection) -> None:
        try:
            await self._notifier.post(nobody, b"{}")
        except ConnectionGone:
            return


async def _tried(subject: str, attempt: Awaitable[object]) -> Finding:
    try:
        await attempt
    except DomainError as failed:
        return _wrong(subject, failed)
    return Finding(subject, FindingState.OK, ALLOWED)


async def _depth(
    subject: str, gauge: QueueGauge, judge: Callable[[str, Depth], Finding]
) -> tuple[Finding, Depth | None]:
    """Workers need no right to ask for it, so its lack is no fault."""
    try:
        depth = await gauge.depth()
    except DomainError as failed:
        if not is_refusal(str(failed)):
            return _wrong(subject, failed), None
        remedy = "ask with credentials that may sqs:GetQueueAttributes"
        return Finding(
            subject, FindingState.WARNING, "its depth may not be asked for", remedy
        ), None
    return judge(subject, depth), depth


def _wrong(subject: str, failed: DomainError) -> Finding:
    told = str(failed)
    return Finding(subject, FindingState.WRONG, told, remedy_for(told))
