"""Following jobs through a socket."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from comfyq.domain.caller import Caller
from comfyq.domain.errors import ConnectionNotFound, JobNotFound, Unauthenticated
from comfyq.domain.job import Job, JobId
from comfyq.ports.clock import Clock
from comfyq.ports.notifier import Connection
from comfyq.records.jobs import JobRecords
from comfyq.records.subscriptions import Subscription, SubscriptionRecords
from comfyq.records.times import to_ms
from comfyq.services.notify.announcer import Announcer


@dataclass(frozen=True, slots=True)
class Connected:
    """The client of a socket."""

    caller: Caller
    follower: Subscription  # the record that each job it follows gets


class Subscriptions:
    """Serve clients of sockets; to them, another tenant's job does not exist."""

    def __init__(
        self,
        *,
        records: JobRecords,
        subscriptions: SubscriptionRecords,
        announcer: Announcer,
        clock: Clock,
        is_valid: Callable[[str], Awaitable[bool]],
    ) -> None:
        """``is_valid`` tells if an API key may still be used, as the table has it now."""
        self._records = records
        self._subscriptions = subscriptions
        self._announcer = announcer
        self._clock = clock
        self._is_valid = is_valid

    async def connect(
        self, connection: Connection, caller: Caller, *, base_url: str, job_id: JobId | None = None
    ) -> None:
        """Store a socket's client. It follows no job yet, because a post would fail until the
        handshake is over.

        ``base_url`` is the base of the links in its frames; empty means the public URL.
        ``job_id`` names a job that the client will follow; it is only checked.

        Raises:
            JobNotFound: there is no such job for this caller. Nothing was stored.
            Unauthenticated: the caller's API key was revoked meanwhile.
        """
        if job_id is not None:
            await self._visible(caller, job_id)
        await self._subscriptions.connect(
            connection, caller, base_url=base_url, now_s=self._now_s()
        )
        await self._require_key(connection, caller)

    async def disconnect(self, connection_id: str) -> None:
        """Delete a connection and its subscriptions; an unknown connection is no error."""
        await self._subscriptions.disconnect(connection_id)

    async def connected(self, connection_id: str) -> Connected:
        """Return a socket's client.

        Raises:
            ConnectionNotFound: no client is stored for this connection, or not any more.
        """
        known = await self._subscriptions.caller(connection_id)
        if known is None:
            raise ConnectionNotFound("this connection is unknown or was closed; connect again")
        return Connected(*known)

    async def subscribe(self, connected: Connected, job_id: JobId) -> None:
        """Make the client a follower of a job, and post it the job's present state.

        Raises:
            JobNotFound: there is no such job for this caller.
            Unauthenticated: the caller's API key was revoked meanwhile.
        """
        caller, follower = connected.caller, connected.follower
        ended = (await self._visible(caller, job_id)).status.terminal
        await self._subscriptions.add(
            job_id, follower, now_s=self._now_s(), until=caller.until, ended=ended
        )
        await self._require_key(follower.connection, caller)
        # Read again: this read sees every change made before the subscription was stored, and
        # every later change is posted to this follower. So no change is missed.
        job = await self._visible(caller, job_id)
        await self._announcer.post(job, [follower])

    async def _require_key(self, connection: Connection, caller: Caller) -> None:
        """Undo what was stored for a connection if its API key is no longer valid.

        Who revokes a key removes it and then ends its sockets: either we see that it is gone, or
        what we have stored is seen.
        """
        if caller.key is not None and not await self._is_valid(caller.key):
            await self._subscriptions.disconnect(connection.id)
            raise Unauthenticated("the API key was revoked or has expired", given=True)

    async def _visible(self, caller: Caller, job_id: JobId) -> Job:
        if caller.only_job not in (None, job_id):
            raise JobNotFound(f"the ticket is not for job {job_id}")
        job = await self._records.get(job_id)
        if job.tenant != caller.tenant:
            raise JobNotFound(f"there is no job {job_id}")
        return job

    def _now_s(self) -> int:
        return to_ms(self._clock.now()) // 1000
