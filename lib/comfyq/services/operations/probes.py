"""Probes that each try one service of a deployment, without side effects on jobs.

Sending to the queue is not tried, because it would wake a worker for nothing; nor is receiving
while jobs wait, because each receipt counts towards the queue's limit.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from comfyq.domain.diagnosis import Finding, FindingState
from comfyq.domain.errors import DomainError, OutputNotFound
from comfyq.domain.job import JobId
from comfyq.ports.assets import Assets
from comfyq.ports.gauge import Depth, QueueGauge
from comfyq.ports.notifier import Connection, ConnectionGone, Notifier
from comfyq.ports.table import ConditionFailed, Delete, Put, Table, Write
from comfyq.records.job_items import meta_key, ready_partition
from comfyq.services.operations.findings import judge_dead, judge_depth
from comfyq.services.operations.remedies import is_refusal, remedy_for

NOBODY = "L0SM9cOFvHcCIhw="  # an unused id in the format of API Gateway's connection ids
WRITTEN = ("outputs", "catalogues")  # folders in which workers store files
ALLOWED = "allowed"


class Probe(Protocol):
    async def run(self) -> Sequence[Finding]:
        """Try the service; a refusal is a finding, not an exception."""
        ...


class TableProbe:
    """Read, write and delete a job that does not exist, with conditions that cannot hold.

    A worker has no rights outside the partitions that it works on, so the key is that of a job.
    """

    def __init__(self, table: Table, *, id: str) -> None:
        self._table = table
        self._id = id

    async def run(self) -> Sequence[Finding]:
        key = meta_key(JobId(f"check-{self._id}"))
        family = ready_partition(f"check-{self._id}")
        put = Put({"pk": key[0], "sk": key[1]}, version=1)
        return [
            await _tried("table: read", self._table.get(key)),
            await _tried("table: write", self._refused(put)),
            await _tried("table: delete", self._refused(Delete(key, version=1))),
            await _tried("table: index ready", self._table.query("ready", family, limit=1)),
        ]

    async def _refused(self, write: Write) -> None:
        """Attempt a write whose condition cannot hold; rights are checked before conditions."""
        try:
            await self._table.write(write)
        except ConditionFailed:
            return


class QueueProbe:
    """Measure the queues' depths, and try receiving where no job waits."""

    def __init__(self, jobs: QueueGauge, *, dead: Mapping[str, QueueGauge]) -> None:
        self._jobs = jobs
        self._dead = dead

    async def run(self) -> Sequence[Finding]:
        return [
            await _tried("queue: hide, delete", self._jobs.try_receipts()),
            *await self._queue(),
            *[await self._dead_queue(name, gauge) for name, gauge in self._dead.items()],
        ]

    async def _queue(self) -> list[Finding]:
        finding, depth = await _depth("queue", self._jobs, judge_depth)
        if depth is None:
            return [finding]
        if depth.waiting:
            untried = "not tried: jobs wait, and each receipt counts towards the queue's limit"
            return [finding, Finding("queue: receive", FindingState.OK, untried)]
        return [finding, await _tried("queue: receive", self._jobs.try_receive())]

    async def _dead_queue(self, name: str, gauge: QueueGauge) -> Finding:
        finding, _ = await _depth(f"dead letters: {name}", gauge, judge_dead)
        return finding


class FileProbe:
    """Store ``sample``, a small file, in each folder of workers and delete it again."""

    def __init__(self, assets: Assets, *, sample: Path, id: str) -> None:
        self._assets = assets
        self._sample = sample
        self._id = id

    async def run(self) -> Sequence[Finding]:
        stored = [await _tried(f"files: {folder}", self._stored(folder)) for folder in WRITTEN]
        return [*stored, await self._read()]

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
            unknown = "not known: without s3:ListBucket, S3 also refuses a file that does not exist"
            return Finding(subject, FindingState.OK, unknown)
        return Finding(subject, FindingState.OK, ALLOWED)


class SocketProbe:
    """Post to a connection that does not exist."""

    def __init__(self, notifier: Notifier, *, endpoint: str | None) -> None:
        self._notifier = notifier
        self._endpoint = endpoint  # None: there is no WebSocket API

    async def run(self) -> Sequence[Finding]:
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
    """Judge a queue's depth. Workers need no right to read it, so its lack is a warning."""
    try:
        depth = await gauge.depth()
    except DomainError as failed:
        if not is_refusal(str(failed)):
            return _wrong(subject, failed), None
        remedy = "to see it, use credentials with sqs:GetQueueAttributes"
        return Finding(subject, FindingState.WARNING, "no right to read its depth", remedy), None
    return judge(subject, depth), depth


def _wrong(subject: str, failed: DomainError) -> Finding:
    reason = str(failed)
    return Finding(subject, FindingState.WRONG, reason, remedy_for(reason))
