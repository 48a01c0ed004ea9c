"""Previews of a running job, for those of its followers that want them.

They are no part of the job: nothing of them is stored, and one that cannot be posted is dropped.
They have a task and posts of their own, so that no change of the job waits for one.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from comfyq.aio.logs import log
from comfyq.domain.job import Job
from comfyq.domain.job.preview import SmallPicture
from comfyq.ports.engine import Engine, Preview, PreviewScaler, PromptId
from comfyq.records.subscriptions import Subscription
from comfyq.services.notify.followers import Followers
from comfyq.services.worker.reporting.reporter import ProgressReporter

LOOKS = 5  # for a new preview, in the time between two
POSTS_AT_ONCE = 4  # fewer than a notifier makes: others are left to changes of jobs

RenderPreview = Callable[[Job, str, SmallPicture], bytes]
"""(job, id of the node, picture) -> the frame to post."""


class Previews:
    def __init__(
        self,
        *,
        engine: Engine,
        scaler: PreviewScaler,
        followers: Followers,
        render: RenderPreview,
        period_s: float,
    ) -> None:
        self._engine = engine
        self._scaler = scaler
        self._followers = followers
        self._render = render
        self._period_s = period_s
        self._posting: set[asyncio.Future[Any]] = set()

    async def run(self, prompt: PromptId, reporter: ProgressReporter) -> None:
        """Post the previews of a prompt until canceled, at most one each ``period_s``."""
        while True:
            await asyncio.sleep(self._period_s / LOOKS)
            wanting = _wanting(reporter.followers)
            seen = self._engine.preview(prompt) if wanting else None
            if seen is None:
                continue
            try:
                await self._push(reporter.job, seen, wanting)
            except Exception:  # of a picture that somebody's node made: no job may fail by it
                log.exception("preview_failed", job=reporter.job.id, node=seen.node)
            await asyncio.sleep(self._period_s * (LOOKS - 1) / LOOKS)

    async def _push(self, job: Job, seen: Preview, followers: Sequence[Subscription]) -> None:
        picture = await self._scaler.scaled(seen.image)
        if picture is None:
            log.debug("preview_unreadable", job=job.id, node=seen.node)
            return
        frame = self._render(job, seen.node, picture)
        post = self._followers.post(job.id, followers, frame, at_once=POSTS_AT_ONCE)
        # A post cannot be stopped once it has begun: the end of a job waits for none.
        posting = asyncio.ensure_future(post)
        self._posting.add(posting)
        posting.add_done_callback(self._posting.discard)
        await asyncio.shield(posting)


def _wanting(followers: Sequence[Subscription]) -> Sequence[Subscription]:
    """Return who wants previews, each connection once: it may follow the job and its batch."""
    wanting = {each.connection: each for each in followers if each.previews}
    return list(wanting.values())
