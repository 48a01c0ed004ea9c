"""Waking receivers of every process that shares a database's file, for messages just sent.

Each process that receives has a named pipe in a folder beside the file; a sender writes into all of
them. Where no pipe can be made, receivers look often instead.
"""

import asyncio
import errno
import os
import random
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from comfyq.aio.rhythm import until_beat_s
from comfyq.ports.queue import TAKEN_S

# Between two looks of a receiver that is woken, for what no sender tells of. What another receiver
# hides for longer, it sees in time: it looks once between the hiding and the showing.
LOOK_S = TAKEN_S
POLL_S = 0.02  # of one that is not
MIN_PAUSE_S = 0.001  # uvloop's timers tick in whole milliseconds
READ_BYTES = 4_096  # of topics; a pipe takes writes of up to PIPE_BUF whole
END = "-"  # the topic that ends the thread


class Arrivals:
    """Wake receivers by topic. ``note`` may be called from any thread.

    Of the receivers in this process each message wakes one, any of them: they may be workers of
    different ComfyUIs. In each other process it wakes all.
    """

    def __init__(self, folder: Path) -> None:
        self.look_s = POLL_S  # a receiver must look so often by itself
        self._folder = folder
        self._pipe: Path | None = None
        self._starting = threading.Lock()
        self._is_started = False
        self._waiting: dict[asyncio.Future[bool], str] = {}  # those that nothing has woken
        self._noted: Counter[str] = Counter()

    def noted(self, topic: str) -> int:
        """Return a number that changes with each message; read it before looking for one."""
        return self._noted[topic]

    def note(self, topic: str, count: int | None = 1) -> None:
        """Wake receivers for ``count`` messages that were sent and are stored; None: all of them,
        for one that will be visible soon, as any of them may be busy by then."""
        self._noted[topic] += count or 1
        self._wake(topic, most=count)
        for pipe in self._others():
            _write(pipe, topic)

    async def wait(self, topic: str, *, since: int, timeout_s: float) -> None:
        """Return as soon as a message has come since ``since``, or when the time is over, at most
        ``look_s``."""
        # The first wait of all is short: a sender may have looked for the pipe before it was made.
        pause_s = max(min(timeout_s, self.look_s, until_beat_s(self.look_s)), MIN_PAUSE_S)
        if not self._is_started:
            self._start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        timer = loop.call_later(pause_s, self._time_out, future)
        self._waiting[future] = topic
        try:
            if self._noted[topic] == since:  # else it came while this receiver looked
                await future
        except asyncio.CancelledError:
            if future not in self._waiting:  # it was woken: its message is another receiver's now
                self._wake(topic, most=1)
            raise
        finally:
            timer.cancel()
            self._waiting.pop(future, None)

    def close(self) -> None:
        """Remove the pipe and end its thread."""
        with self._starting:
            pipe, self._pipe, self._is_started = self._pipe, None, False
            self.look_s = POLL_S
        if pipe is not None:
            _write(pipe, END)
            pipe.unlink(missing_ok=True)

    def _wake(self, topic: str, *, most: int | None = None) -> None:
        """Wake receivers, ``most`` of them or all, that nothing has woken yet."""
        waiting = [future for future, its in list(self._waiting.items()) if its == topic]
        random.shuffle(waiting)
        woken = 0
        for future in waiting:
            if woken == most:
                return
            # Threads may choose the same one: the first to take it out has woken it.
            if self._waiting.pop(future, None) is not None:
                _settle(future)
                woken += 1

    def _time_out(self, future: asyncio.Future[bool]) -> None:
        self._waiting.pop(future, None)
        _end(future)

    def _others(self) -> list[Path]:
        with suppress(FileNotFoundError):
            return [
                self._folder / name
                for name in os.listdir(self._folder)
                if not name.startswith(".") and (self._pipe is None or name != self._pipe.name)
            ]
        return []

    def _start(self) -> None:
        with self._starting:
            if self._is_started:
                return
            self._is_started = True
            with suppress(OSError):  # then receivers look often
                self._pipe, reads = _pipe_in(self._folder)
                self.look_s = LOOK_S
                threading.Thread(
                    target=self._read, args=[reads], name="arrivals", daemon=True
                ).start()

    def _read(self, reads: int) -> None:
        try:
            while END not in (topics := os.read(reads, READ_BYTES).decode().split("\n")):
                for topic in filter(None, set(topics)):
                    self._noted[topic] += 1
                    self._wake(topic)
        finally:
            os.close(reads)


def _pipe_in(folder: Path) -> tuple[Path, int]:
    """Make a pipe, visible once it is open: senders remove those that nobody reads."""
    folder.mkdir(exist_ok=True)
    name = f"{os.getpid()}-{uuid4().hex[:8]}"
    hidden, pipe = folder / f".{name}", folder / name
    os.mkfifo(hidden, 0o600)
    # Open for writing as well: a pipe without a writer is always at its end.
    reads = os.open(hidden, os.O_RDWR | os.O_CLOEXEC)
    hidden.rename(pipe)
    return pipe, reads


def _write(pipe: Path, topic: str) -> None:
    try:
        writes = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as gone:
        if gone.errno == errno.ENXIO:  # nobody reads: its process was killed
            pipe.unlink(missing_ok=True)
        return
    try:
        os.write(writes, f"{topic}\n".encode())
    except BlockingIOError:
        pass  # full of topics that its process has not read yet: it will look
    finally:
        os.close(writes)


def _settle(future: asyncio.Future[bool]) -> None:
    with suppress(RuntimeError):  # its event loop has been closed
        future.get_loop().call_soon_threadsafe(_end, future)


def _end(future: asyncio.Future[bool]) -> None:
    if not future.done():
        future.set_result(True)
