"""Signals of the socket about each followed prompt, kept until its followers read them.

The socket's reader adds signals and never waits: unread signals are bounded, and the oldest
progress is dropped first. Start and end are flags, so they are never dropped.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from comfyq.adapters.comfyui.tracking.messages import (
    PromptSettled,
    PromptSettling,
    QueueChanged,
    Signal,
)
from comfyq.domain.job.progress import Advance
from comfyq.ports.engine import Preview, PromptId

MAX_UNREAD = 256
MAX_AWAITED = 256  # prompts submitted and not yet followed
GATHERED_S = 0.02  # progress is read that late, with what comes meanwhile


class Mailbox:
    """The unread signals about one prompt, for its follower."""

    def __init__(self, *, client_id: str | None) -> None:
        self.client_id = client_id
        """The socket's id that the prompt was submitted under; None where the socket may have
        told something before, or told nothing at all, as of a prompt that somebody else posted."""
        self.started = False
        self.settling = False
        self.settled = False
        # A follower that joins late has missed earlier signals.
        self.look_wanted = client_id is None
        self._unread: deque[Advance] = deque(maxlen=MAX_UNREAD)
        self._newest: dict[str, Advance] = {}
        self._preview: Preview | None = None
        self._is_woken = False
        self._waiting: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None  # that ends the wait
        self._gathers = False  # and soon, for progress

    def put(self, signal: Signal) -> None:
        if isinstance(signal, QueueChanged):
            # Of a prompt of ours we are told more, and without a look.
            if self.client_id is None:
                self._want_look()
            return
        is_urgent = not self.started
        if isinstance(signal, Advance):
            self._put_advance(signal)
        elif isinstance(signal, PromptSettled):
            self.settling = self.settled = is_urgent = True
        elif isinstance(signal, PromptSettling):  # that history has it is mostly said next
            self.settling = True
        self.started = True
        if is_urgent:
            self._wake()
        else:
            self._wake_soon()

    def miss(self) -> None:
        """Note that signals may have been missed, so that the follower polls."""
        self.client_id = None
        self._want_look()

    def read(self) -> list[Advance]:
        unread = list(self._unread)
        self._unread.clear()
        return unread

    def put_preview(self, preview: Preview) -> None:
        """Keep a preview, in the place of an older one; it wakes nobody."""
        self._preview = preview

    def take_preview(self) -> Preview | None:
        preview, self._preview = self._preview, None
        return preview

    async def wait(self, timeout_s: float) -> bool:
        """Wait for a signal: True as soon as there is one, False after the time-out."""
        if not self._is_woken:
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            self._gathers = bool(self._unread)
            pause_s = min(timeout_s, GATHERED_S) if self._gathers else timeout_s
            self._timer = loop.call_later(pause_s, self._end_wait)
            try:
                await self._waiting
            finally:
                self._timer.cancel()
                self._waiting = None
            if not (self._is_woken or self._gathers):
                return False
        self._is_woken = False
        return True

    def _wake(self) -> None:
        self._is_woken = True
        self._end_wait()

    def _wake_soon(self) -> None:
        if self._waiting is not None and self._timer is not None and not self._gathers:
            self._gathers = True
            self._timer.cancel()
            self._timer = self._waiting.get_loop().call_later(GATHERED_S, self._end_wait)

    def _end_wait(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _want_look(self) -> None:
        self.look_wanted = True
        self._wake()

    def _put_advance(self, advance: Advance) -> None:
        """Drop a repeated signal: ComfyUI may send the same one three times."""
        known = self._newest.get(advance.node)
        if known is not None and (known.done or not _is_news(advance, known)):
            return
        self._newest[advance.node] = advance
        self._unread.append(advance)


def _is_news(advance: Advance, known: Advance) -> bool:
    return advance.done or (advance.max_steps > 0 and advance != known)


class Mailboxes:
    """Distribute the socket's signals to the followers of their prompts."""

    def __init__(self) -> None:
        self._inboxes: dict[PromptId, list[Mailbox]] = {}
        self._awaited: dict[PromptId, Mailbox] = {}

    def expect(self, prompt_id: PromptId, *, client_id: str) -> None:
        """Keep a prompt's signals from before it is posted until it is followed."""
        while len(self._awaited) >= MAX_AWAITED:
            self._awaited.pop(next(iter(self._awaited)))
        self._awaited[prompt_id] = Mailbox(client_id=client_id)

    def forget(self, prompt_id: PromptId) -> None:
        self._awaited.pop(prompt_id, None)

    @contextmanager
    def inbox(self, prompt_id: PromptId) -> Iterator[Mailbox]:
        """Yield a prompt's inbox for as long as the context lasts."""
        inbox = self._awaited.pop(prompt_id, None) or Mailbox(client_id=None)
        inboxes = self._inboxes.setdefault(prompt_id, [])
        inboxes.append(inbox)
        try:
            yield inbox
        finally:
            inboxes.remove(inbox)
            if not inboxes and self._inboxes.get(prompt_id) is inboxes:
                del self._inboxes[prompt_id]

    def deliver(self, prompt_id: PromptId | None, signals: Sequence[Signal]) -> None:
        """Deliver a signal to a prompt's followers; None: to all followers."""
        for inbox in self._all() if prompt_id is None else self._of(prompt_id):
            for signal in signals:
                inbox.put(signal)

    def deliver_preview(self, preview: Preview) -> None:
        for inbox in self._inboxes.get(preview.prompt_id, ()):
            inbox.put_preview(preview)

    def take_preview(self, prompt_id: PromptId) -> Preview | None:
        """Return the newest preview of a prompt that is followed, once."""
        inboxes = self._inboxes.get(prompt_id)
        return inboxes[0].take_preview() if inboxes else None

    def miss(self) -> None:
        """Note that the socket opened or closed, so that every follower polls."""
        for inbox in self._all():
            inbox.miss()

    def _of(self, prompt_id: PromptId) -> list[Mailbox]:
        awaited = self._awaited.get(prompt_id)
        return [*self._inboxes.get(prompt_id, ()), *([awaited] if awaited else [])]

    def _all(self) -> list[Mailbox]:
        followed = [inbox for inboxes in self._inboxes.values() for inbox in inboxes]
        return [*followed, *self._awaited.values()]
