"""Following one prompt to its end.

The socket gives hints, the history decides: a hint says when to read the history. Without hints the
follower polls, so a socket that is absent or stalled costs one poll at most.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from comfyq.adapters.comfyui.client import ComfyClient, Sighting
from comfyq.adapters.comfyui.replies import BadReply
from comfyq.adapters.comfyui.socket import Socket
from comfyq.adapters.comfyui.timing import EngineTiming
from comfyq.adapters.comfyui.tracking import history
from comfyq.adapters.comfyui.tracking.mailbox import Mailbox, Mailboxes
from comfyq.ports.engine import (
    Delayed,
    EngineEvent,
    EngineUnavailable,
    PromptId,
    PromptLost,
    PromptState,
    ResultsUnreadable,
    Started,
)

ABSENT_LOOKS = 2  # in a row, before a prompt counts as lost


class Follower:
    def __init__(
        self,
        prompt_id: PromptId,
        *,
        mailboxes: Mailboxes,
        client: ComfyClient,
        socket: Socket,
        timing: EngineTiming,
    ) -> None:
        self._prompt_id = prompt_id
        self._inbox: Mailbox
        self._mailboxes = mailboxes
        self._client = client
        self._socket = socket
        self._timing = timing
        self._started = False
        self._told_start = False
        self._foreign = self._told_foreign = 0  # prompts of others before this one
        self._absent_looks = 0
        self._unsure = False  # the last read did not determine the prompt's state
        self._silent_since: float | None = None  # ComfyUI does not answer
        self._absent_since = 0.0
        self._unreadable_since: float | None = None  # ComfyUI cannot show the history entry

    async def events(self) -> AsyncIterator[EngineEvent]:
        """Yield events until Ended; raises what `Engine.follow` raises."""
        with self._mailboxes.inbox(self._prompt_id) as inbox:
            self._inbox = inbox
            while True:
                is_news = inbox.look_wanted or await inbox.wait(self._patience_s())
                for event in self._news():
                    yield event
                if is_news and not (inbox.settled or inbox.look_wanted):
                    continue
                sighting = await self._look()
                for event in self._news():
                    yield event
                if sighting.item is not None:
                    yield history.read_results(sighting.item)
                    return

    def _patience_s(self) -> float:
        if self._unsure or not self._socket.is_open:
            return self._timing.poll_down_s
        return self._timing.settle_s if self._inbox.settling else self._timing.poll_s

    def _news(self) -> Sequence[EngineEvent]:
        news: list[EngineEvent] = []
        self._started = self._started or self._inbox.started
        foreign = 0 if self._started else self._foreign
        if foreign != self._told_foreign:
            self._told_foreign = foreign
            news.append(Delayed(foreign))
        if self._started and not self._told_start:
            self._told_start = True
            news.append(Started())
        return [*news, *self._inbox.read()]

    async def _look(self) -> Sighting:
        """Read the prompt's state from ComfyUI; ABSENT may still be uncertain."""
        began = asyncio.get_running_loop().time()
        self._inbox.look_wanted = False
        try:
            sighting = await self._ask()
        except EngineUnavailable:
            self._bear_silence(began)
            return Sighting(PromptState.ABSENT)
        self._silent_since = None
        self._unsure = sighting.state is PromptState.ABSENT
        if sighting.unreadable is not None:
            self._bear_unreadable(began, sighting.unreadable)
            return sighting
        self._unreadable_since = None
        if self._unsure:
            self._bear_absence(began)
        else:
            self._take(sighting)
        return sighting

    async def _ask(self) -> Sighting:
        within_s = min(self._timing.call_s, self._timing.unavailable_s)
        if self._inbox.settled:
            # The run is over, so the history has the prompt: the queue need not be read.
            self._inbox.settled = False
            with suppress(BadReply):  # the queue shows then whether ComfyUI answers otherwise
                item = await self._client.history(self._prompt_id, within_s=within_s)
                if item is not None:
                    return Sighting(PromptState.ENDED, item=item)
        return await self._client.look(self._prompt_id, within_s=within_s)

    def _take(self, sighting: Sighting) -> None:
        self._absent_looks = 0
        self._foreign = sighting.foreign
        if sighting.state is PromptState.PENDING:
            return
        self._started = True
        inbox = self._inbox
        was_told = inbox.settling if sighting.state is PromptState.ENDED else inbox.started
        if not was_told and inbox.client_id == self._socket.client_id:
            self._socket.suspect()

    def _bear_absence(self, now: float) -> None:
        """Count an absent prompt; raises PromptLost once its absence is certain."""
        if self._absent_looks == 0:
            self._absent_since = now
        self._absent_looks += 1
        # If ComfyUI has reported the run's end, its history entry is about to appear.
        is_due = self._inbox.settling and now < self._absent_since + self._timing.history_lag_s
        if self._absent_looks >= ABSENT_LOOKS and not is_due:
            raise PromptLost("ComfyUI does not know the prompt any more", started=self._started)

    def _bear_unreadable(self, now: float, why: str) -> None:
        """Raise ResultsUnreadable once ComfyUI has failed for too long to show this entry alone."""
        self._unsure = True
        self._absent_looks = 0
        if self._unreadable_since is None:
            self._unreadable_since = now
        if now - self._unreadable_since >= self._timing.history_lag_s:
            raise ResultsUnreadable(f"the results cannot be read: {why}")

    def _bear_silence(self, since: float) -> None:
        """Raise EngineUnavailable once ComfyUI has not answered for too long."""
        self._unsure = True
        self._absent_looks = 0
        if self._silent_since is None:
            self._silent_since = since
        silent_s = asyncio.get_running_loop().time() - self._silent_since
        if silent_s >= self._timing.unavailable_s:
            raise EngineUnavailable(f"ComfyUI has not answered for {silent_s:.0f} s")
