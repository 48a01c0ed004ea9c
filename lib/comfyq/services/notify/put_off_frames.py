"""Frames of batches that are posted at the end of a pause, once for all that changes until then."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from comfyq.aio.logs import log
from comfyq.domain.errors import DomainError
from comfyq.domain.job import JobId
from comfyq.domain.submission.batch import BatchId
from comfyq.ports.clock import Clock
from comfyq.ports.notifier import LateFrames

TRIES = 3  # of a frame
UNREAD_S = 1.0  # between two tries, where nothing could be read
LONGEST = timedelta(seconds=5)  # no pause is longer
MAX_ASKED = 100  # batches that are remembered to be told of by others

Tell = Callable[[BatchId, JobId], Awaitable[bool]]
"""Post a batch's frame to those who follow it by way of a job; False: not all have it."""

PauseOf = Callable[[BatchId], timedelta]
"""The time until this process may read a batch again; none where it has not read it lately."""


@dataclass(slots=True)
class PutOff:
    by: JobId  # the job that has changed last: whoever lacks an earlier change follows it too
    task: asyncio.Task[None]


class PutOffFrames:
    """Post them by tasks of this process, or have another one post them: a Lambda function stands
    still between its events, for minutes or for good, and no timer of it ends meanwhile."""

    def __init__(
        self, *, tell: Tell, pause_of: PauseOf, clock: Clock, late: LateFrames | None
    ) -> None:
        self._tell = tell
        self._pause_of = pause_of
        self._clock = clock
        self._late = late  # None: tasks of this process go on
        self._put_off: dict[BatchId, PutOff] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # held until they end, so that they do
        self._asked: dict[BatchId, datetime] = {}  # when another process tells of it

    async def add(self, batch_id: BatchId, by: JobId) -> None:
        """Have a batch's frame posted to those who follow it by way of a job, at the end of its
        pause."""
        if self._late is not None:
            await self._ask(self._late, batch_id, by)
        elif (put_off := self._put_off.get(batch_id)) is not None:
            put_off.by = by
        else:
            task = asyncio.create_task(self._tell_at_end(batch_id))
            self._put_off[batch_id] = PutOff(by, task)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def tell(self, batch_id: BatchId, by: JobId) -> None:
        """Post a frame that another process has put off."""
        if self._pause_of(batch_id):  # this one has told of the batch a moment ago
            await self.add(batch_id, by)
        else:
            await self._tell_until_told(batch_id, by)

    async def tell_all(self) -> None:
        """Post at once what waits for the end of a pause, and wait for what is being posted."""
        while self._put_off:
            batch_id, put_off = self._put_off.popitem()
            put_off.task.cancel()
            try:
                is_told = await self._tell(batch_id, put_off.by)
            except Exception:  # other batches have followers too
                log.exception("batch_not_told", batch=batch_id)
                continue
            if not is_told:
                _log_untold(batch_id)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self, late: LateFrames, batch_id: BatchId, by: JobId) -> None:
        """Have another process tell, unless it will do so already: it reads what is stored then."""
        now, pause = self._clock.now(), self._pause_of(batch_id)
        told_at = self._asked.get(batch_id)
        # one that lies farther ahead was noted before the clock was set back
        if told_at is not None and timedelta() < told_at - now <= LONGEST:
            return
        try:
            await late.ask(batch_id, by, delay_s=pause.total_seconds())
        except DomainError as away:
            log.warning("frame_not_put_off", batch=batch_id, reason=str(away))
            await self._tell(batch_id, by)  # at once, which costs reads and loses nothing
            return
        self._asked.pop(batch_id, None)  # so that it becomes the last one
        self._asked[batch_id] = now + pause
        if len(self._asked) > MAX_ASKED:
            del self._asked[next(iter(self._asked))]

    async def _tell_at_end(self, batch_id: BatchId) -> None:
        await asyncio.sleep(self._pause_of(batch_id).total_seconds())
        by = self._put_off.pop(batch_id).by  # before it is read: a later change is told anew
        await self._tell_until_told(batch_id, by)

    async def _tell_until_told(self, batch_id: BatchId, by: JobId) -> None:
        for tries in range(TRIES):
            if tries:
                await asyncio.sleep(self._pause_of(batch_id).total_seconds() or UNREAD_S)
            if await self._tell(batch_id, by):
                return
        _log_untold(batch_id)


def _log_untold(batch_id: BatchId) -> None:
    log.warning("batch_untold", batch=batch_id, reason="its followers were not reached")
