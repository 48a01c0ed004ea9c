"""A watch over an event loop: each time that something blocks it is logged and counted."""

import asyncio
import asyncio.runners
import os
import selectors
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from comfyq.aio.logs import log

STALL_S = 0.25
PERIOD_S = 0.2  # between two questions to the loop
FRAMES = 4  # of a stack that are logged: the innermost of our own, and the innermost of all
OWN = str(Path(__file__).parents[2])  # the folder of our packages
IDLE = frozenset({selectors.__file__, asyncio.runners.__file__})  # where a loop waits for events


class StallWatch:
    """Counts stalls of the event loop of the thread that it is used in.

    A thread looks at the loop five times a second and asks it to answer, unless it waits for
    events; a stall lasts from when the question was due, so one may be up to a period longer than
    it is said to be.
    """

    def __init__(self, *, stall_s: float = STALL_S, period_s: float = PERIOD_S) -> None:
        self.count = 0
        self._stall_s = stall_s
        self._period_s = period_s
        self._stopped = threading.Event()
        self._answered = threading.Event()  # of the last question

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the running loop while the body runs."""
        loop, loop_thread = asyncio.get_running_loop(), threading.get_ident()
        self._stopped.clear()
        thread = threading.Thread(
            target=self._watch, args=(loop, loop_thread), name="stall-watch", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            self._answered.set()  # the loop, which waits here, does not answer it
            thread.join()

    def _watch(self, loop: asyncio.AbstractEventLoop, loop_thread: int) -> None:
        due_s = time.monotonic() + self._period_s
        while not self._stopped.wait(max(0.0, due_s - time.monotonic())):
            if not _waits(_frame(loop_thread)):  # an idle process is not woken for a question
                self._ask(loop, loop_thread, due_s)
            due_s = time.monotonic() + self._period_s

    def _ask(self, loop: asyncio.AbstractEventLoop, loop_thread: int, due_s: float) -> None:
        self._answered = answered = threading.Event()
        if self._stopped.is_set():
            return
        stack: str | None = None
        if (
            time.monotonic() - due_s >= self._stall_s
        ):  # what held the interpreter held this thread too
            stack = _stack(loop_thread)
        try:
            loop.call_soon_threadsafe(answered.set)
        except RuntimeError:  # it was closed
            self._stopped.set()
            return
        if not answered.wait(max(0.0, due_s + self._stall_s - time.monotonic())):
            stack = stack or _stack(loop_thread)
            answered.wait()
        if stack is not None and not self._stopped.is_set():
            self.count += 1
            lasted_s = round(time.monotonic() - due_s, 3)
            log.warning("loop_stalled", seconds=lasted_s, stalls=self.count, stack=stack)


def _stack(thread: int) -> str | None:
    """Return what a thread is doing, in one line, the outermost call first; None if it waits for
    events."""
    frame = _frame(thread)
    if _waits(frame):
        return None
    *outer, innermost = traceback.extract_stack(frame)
    own = [each for each in outer if each.filename.startswith(OWN)]
    return " > ".join(map(_place, [*own[1 - FRAMES :], innermost]))


def _place(call: traceback.FrameSummary) -> str:
    file = call.filename.removeprefix(OWN + os.sep)
    return f"{call.name} ({file}:{call.lineno})"


def _frame(thread: int) -> FrameType | None:
    return sys._current_frames().get(thread)


def _waits(frame: FrameType | None) -> bool:
    """Return whether an event loop's thread waits for events there, or has ended."""
    return frame is None or frame.f_code.co_filename in IDLE
