"""Sockets that follow whatever their client submits, by the id that it gives itself.

Of a job and a socket that come at the same time, one sees the other: a socket is stored before its
client's jobs are listed, and a job before its client's sockets are. Where the list lags, it is
looked at again.
"""

from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

from comfyq.aio.logs import log
from comfyq.aio.tasks import limited
from comfyq.domain.caller import Caller
from comfyq.domain.errors import ConnectionNotFound, DomainError, JobNotFound
from comfyq.domain.job import Job, JobId
from comfyq.domain.submission.selection import Selection
from comfyq.ports.clock import Clock
from comfyq.ports.notifier import Connection
from comfyq.records.indexes.listed_jobs import ListedJobs, of_label
from comfyq.records.jobs import JobRecords
from comfyq.records.sockets.client_sockets import ClientSocketRecords
from comfyq.records.times import to_ms
from comfyq.services.notify.subscriptions import Subscriptions

MOST_JOBS = 50  # of a client, its newest, that a socket follows when it opens
TOLD_AGAIN = timedelta(seconds=60)  # after their end: the client may have opened its socket late
AT_ONCE = 10


class ClientSockets:
    """Make sockets followers of their client's jobs."""

    def __init__(
        self,
        *,
        sockets: ClientSocketRecords,
        subscriptions: Subscriptions,
        jobs: JobRecords,
        listed: ListedJobs,
        clock: Clock,
    ) -> None:
        self._sockets = sockets
        self._subscriptions = subscriptions
        self._jobs = jobs
        self._listed = listed
        self._clock = clock

    async def opened(
        self,
        connection: Connection,
        caller: Caller,
        client: str,
        *,
        base_url: str,
        previews: bool,
    ) -> None:
        """Store a socket of a client, which may be stored again when it wants ``previews``, too;
        raises Unauthenticated if its key was revoked meanwhile."""
        await self._subscriptions.connect(connection, caller, base_url=base_url, previews=previews)
        now_s = to_ms(self._clock.now()) // 1000
        await self._sockets.add(caller.tenant, client, connection.id, now_s=now_s)

    async def closed(self, connection: Connection, caller: Caller, client: str) -> None:
        """Delete what is stored of a socket, which else expires."""
        with suppress(DomainError):
            await self._sockets.remove(caller.tenant, client, connection.id)
            await self._subscriptions.disconnect(connection.id)

    async def follow_new(self, caller: Caller, client: str, job: Job) -> None:
        """Make the sockets of a client followers of a job that it has just submitted. The job is
        accepted, whatever fails here: a socket looks for its client's jobs itself, too."""
        try:
            for connection_id in await self._sockets.of_client(caller.tenant, client):
                await self._follow(caller, client, connection_id, job.id)
        except DomainError as away:
            log.warning("client_not_told", job=job.id, reason=str(away))

    async def listed(
        self, caller: Caller, label: Mapping[str, str], *, known: Container[JobId] = ()
    ) -> Sequence[Job]:
        """Return a client's newest jobs that go on or have just ended, the oldest of them first,
        but those that are ``known``."""
        [(name, value)] = label.items()
        page = await self._listed.page(of_label(caller.tenant, name, value), limit=MOST_JOBS)
        new = [each.id for each in reversed(page.jobs) if each.id not in known]
        jobs = await limited(AT_ONCE, new, self._find)
        since, selection = self._clock.now() - TOLD_AGAIN, Selection(labels=label)
        return [
            job
            for job in jobs.values()
            if job is not None and job.tenant == caller.tenant and selection.has(job)
            if job.ended_at is None or job.ended_at >= since
        ]

    async def follow(self, connection: Connection, job: Job) -> None:
        """Make a socket a follower of a job of its client.

        Raises:
            JobNotFound: it is deleted.
            ConnectionNotFound, Unauthenticated: the socket's key was revoked meanwhile.
        """
        connected = await self._subscriptions.connected(connection.id)
        await self._subscriptions.subscribe(connected, job.id)

    async def _follow(self, caller: Caller, client: str, connection_id: str, job_id: JobId) -> None:
        try:
            connected = await self._subscriptions.connected(connection_id)
        except ConnectionNotFound:  # it has closed
            await self._sockets.remove(caller.tenant, client, connection_id)
            return
        await self._subscriptions.subscribe(connected, job_id)

    async def _find(self, job_id: JobId) -> Job | None:
        try:
            return await self._jobs.get(job_id)
        except JobNotFound:
            return None  # deleted since; the index lags
