"""Following jobs through a socket or stream."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

from comfyq.aio.tasks import limited
from comfyq.domain.caller import Caller
from comfyq.domain.errors import (
    BatchNotFound,
    ConnectionNotFound,
    DomainError,
    JobNotFound,
    NotifierUnavailable,
    Unauthenticated,
)
from comfyq.domain.job import Job, JobId
from comfyq.domain.submission.batch import Batch, BatchId
from comfyq.domain.submission.batch_progress import progress_of
from comfyq.domain.submission.retry import UNSUCCESSFUL
from comfyq.ports.clock import Clock
from comfyq.ports.notifier import Connection
from comfyq.records.batches.members import member_id, own_place
from comfyq.records.jobs import JobRecords
from comfyq.records.subscriptions import Subscription, SubscriptionRecords
from comfyq.records.times import to_ms
from comfyq.services.limits.connect_limit import ConnectLimit
from comfyq.services.notify.announcer import Announcer
from comfyq.services.notify.batch_news import BatchNews

AT_ONCE = 10  # jobs that one frame makes the client a follower of at the same time


@dataclass(frozen=True, slots=True)
class Connected:
    """The client of a socket or stream."""

    caller: Caller
    follower: Subscription  # the record that each job it follows gets

    @property
    def with_previews(self) -> "Connected":
        """The same client, of which each job that it follows notes that it wants previews."""
        return replace(self, follower=replace(self.follower, previews=True))


Follow = Callable[[Connected], Awaitable[bool]]
"""Makes a client a follower; False: its first frame could not be posted."""


class Subscriptions:
    """Serve clients of sockets; to them, another tenant's job does not exist."""

    def __init__(
        self,
        *,
        records: JobRecords,
        subscriptions: SubscriptionRecords,
        announcer: Announcer,
        batch_news: BatchNews,
        clock: Clock,
        is_valid: Callable[[str], Awaitable[bool]],
        connects: ConnectLimit | None = None,
    ) -> None:
        """``is_valid`` tells if an API key may still be used, as the table has it now."""
        self._records = records
        self._subscriptions = subscriptions
        self._announcer = announcer
        self._batch_news = batch_news
        self._clock = clock
        self._is_valid = is_valid
        self._connects = connects or ConnectLimit()

    async def connect(
        self,
        connection: Connection,
        caller: Caller,
        *,
        base_url: str,
        job_id: JobId | None = None,
        previews: bool = False,
    ) -> None:
        """Store a socket's client. It follows no job yet, because a post would fail until the
        handshake is over.

        ``base_url`` is the base of the links in its frames; empty means the public URL.
        ``job_id`` names a job that the client will follow; it is only checked. ``previews`` says
        that it wants those of all jobs that it follows.

        Raises:
            JobNotFound: there is no such job for this caller. Nothing was stored.
            Unauthenticated: the caller's API key was revoked meanwhile.
        """
        if job_id is not None:
            await self._visible(caller, job_id)
        await self._subscriptions.connect(
            connection, caller, base_url=base_url, now_s=self._now_s(), previews=previews
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

    async def subscribe(
        self, connected: Connected, job_id: JobId, *, since: int | None = None
    ) -> bool:
        """Make the client a follower of a job, and post it the job's present state, if that is
        newer than version ``since``. False: that could not be posted now.

        Raises:
            JobNotFound: there is no such job for this caller.
            Unauthenticated: the caller's API key was revoked meanwhile.
        """
        caller, follower = connected.caller, connected.follower
        ended = (await self._visible(caller, job_id)).status.terminal
        await self._subscriptions.add(
            job_id,
            follower,
            now_s=self._now_s(),
            until=caller.until,
            told_reasons=not ended,
        )
        await self._require_key(follower.connection, caller)
        # Read again: this read sees every change made before the subscription was stored, and
        # every later change is posted to this follower. So no change is missed.
        job = await self._visible(caller, job_id)
        if since is not None and job.version <= since:
            return True
        return await self._announcer.post(job, [follower])

    async def subscribe_all(
        self, connected: Connected, wishes: Mapping[JobId, int | None]
    ) -> Mapping[JobId, DomainError]:
        """Make the client a follower of several jobs, each with the version that it has seen;
        return why it does not follow some of them: NotifierUnavailable if it does, but could not
        be posted how the job is.

        Raises:
            Unauthenticated: the caller's API key was revoked meanwhile.
        """

        async def tried(job_id: JobId) -> DomainError | None:
            try:
                is_told = await self.subscribe(connected, job_id, since=wishes[job_id])
            except Unauthenticated:
                raise
            except DomainError as error:
                return error
            return None if is_told else NotifierUnavailable("its first frame could not be sent")

        results = await limited(AT_ONCE, wishes, tried)
        return {job_id: error for job_id, error in results.items() if error is not None}

    async def unsubscribe(self, connected: Connected, job_ids: Sequence[JobId]) -> None:
        """Make the client a follower of these jobs no more, whether it was one or not."""
        follower = connected.follower
        await limited(AT_ONCE, job_ids, lambda each: self._subscriptions.remove(each, follower))

    async def subscribe_batch(
        self, connected: Connected, batch_id: BatchId, *, since: int | None = None
    ) -> bool:
        """Make the client a follower of a batch, and post it how far that has come, unless it has
        seen that: ``since`` is the `seq` of the frame that told it. False: not posted now.

        Raises:
            BatchNotFound: there is no such batch for this caller.
            Unauthenticated: the caller's API key was revoked meanwhile.
        """
        caller, follower = connected.caller, replace(connected.follower, batch=batch_id)
        if caller.only_job is not None:
            raise BatchNotFound(f"there is no batch {batch_id}")
        batch, jobs = await self._batch_news.read(batch_id, tenant=caller.tenant)
        followed: set[JobId] = set()
        while more := _changeable(batch, jobs) - followed:  # again if a retry was stored meanwhile
            await self._subscriptions.add_batch(
                sorted(more), follower, now_s=self._now_s(), until=caller.until
            )
            await self._require_key(follower.connection, caller)
            followed |= more
            batch, jobs = await self._batch_news.read(batch_id)  # misses no change, as above
        progress = progress_of(batch, jobs)
        if since == progress.seq:  # not `>=`: it falls if a retry is deleted
            return True
        return await self._batch_news.tell(progress, [follower], by=member_id(batch_id, 0))

    async def unsubscribe_batch(self, connected: Connected, batch_id: BatchId) -> None:
        """Make the client a follower of a batch no more, whether it was one or not."""
        await self._subscriptions.remove_batch(connected.follower.connection.id, batch_id)

    @asynccontextmanager
    async def following(
        self, connection: Connection, caller: Caller, follow: Follow, *, base_url: str
    ) -> AsyncIterator[None]:
        """Within the context, a connection that cannot send follows what ``follow`` says, and
        raises what that raises.

        Raises:
            RateLimited: the caller has opened as many as it may for now.
            Unauthenticated: the caller's API key was revoked meanwhile.
            NotifierUnavailable: its first frame could not be posted.
        """
        self._connects.take_stream(caller)
        await self.connect(connection, caller, base_url=base_url)
        try:
            if not await follow(Connected(caller, Subscription(connection, base_url))):
                raise NotifierUnavailable("the first frame could not be sent; try again")
            yield
        finally:
            with suppress(DomainError):  # what is stored expires
                await self.disconnect(connection.id)

    @asynccontextmanager
    async def held(self, connection: Connection, caller: Caller) -> AsyncIterator[None]:
        """Within the context, a connection that cannot send ends when its caller's key does.

        Of a caller without a key nothing is stored. Raises Unauthenticated, also after the context
        if the key is no longer valid by then.
        """
        if caller.key is None and caller.until is None:
            yield
            return
        await self.connect(connection, caller, base_url="")
        try:
            yield
        finally:
            with suppress(DomainError):  # what is stored expires
                await self.disconnect(connection.id)
        await self.require_valid(caller)

    async def require_valid(self, caller: Caller) -> None:
        """Raise Unauthenticated if a caller that was let in would not be let in any more."""
        has_expired = caller.until is not None and caller.until <= self._clock.now()
        if has_expired or (caller.key is not None and not await self._is_valid(caller.key)):
            raise _ended(caller)

    async def _require_key(self, connection: Connection, caller: Caller) -> None:
        """Undo what was stored for a connection if its API key is no longer valid.

        Who revokes a key removes it and then ends its sockets: either we see that it is gone, or
        what we have stored is seen.
        """
        if caller.key is not None and not await self._is_valid(caller.key):
            await self._subscriptions.disconnect(connection.id)
            raise _ended(caller)

    async def _visible(self, caller: Caller, job_id: JobId) -> Job:
        if caller.only_job not in (None, job_id):
            raise JobNotFound(f"the ticket is not for job {job_id}")
        job = await self._records.get(job_id)
        if job.tenant != caller.tenant:
            raise JobNotFound(f"there is no job {job_id}")
        return job

    def _now_s(self) -> int:
        return to_ms(self._clock.now()) // 1000


def _ended(caller: Caller) -> Unauthenticated:
    if caller.key is None:
        return Unauthenticated("the token has expired", given=True)
    return Unauthenticated("the API key was revoked or has expired", given=True)


def _changeable(batch: Batch, jobs: Mapping[int, Job]) -> set[JobId]:
    """Return the jobs of a batch that a follower has to follow: while one goes on, also those that
    have failed, because a retry finds its followers by the job whose place it takes.

    While the batch is being stored, those too that are not there yet, and the batch itself.
    """
    going = {job.id for job in jobs.values() if not job.status.terminal}
    if batch.storing:
        missing = (index for index in batch.indexes if index not in jobs)
        going |= {own_place(batch.id), *(member_id(batch.id, index) for index in missing)}
    failed = {job.id for job in jobs.values() if job.status in UNSUCCESSFUL}
    return going | failed if going else set()
