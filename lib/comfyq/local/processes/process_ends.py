"""Being woken by the end of processes that are no children of this one, where Linux can tell."""

import asyncio
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress


class ProcessEnds:
    """Watch processes by a file descriptor each, which becomes readable at the end of its process.

    https://man7.org/linux/man-pages/man2/pidfd_open.2.html
    """

    def __init__(self) -> None:
        self._watched: dict[int, int] = {}  # descriptors by pid
        self._ended = asyncio.Event()

    def watch(self, pids: Collection[int | None]) -> bool:
        """Watch these processes and no others; return whether each is known and can be watched."""
        for pid in self._watched.keys() - set(pids):
            self._leave(pid)
        return all([pid in self._watched or self._enter(pid) for pid in pids])

    async def wait(self, *, most_s: float) -> None:
        """Wait until one of them has ended, ``most_s`` seconds at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(most_s):
                await self._ended.wait()
        self._ended.clear()

    @contextmanager
    def watching(self) -> Iterator["ProcessEnds"]:
        """Watch none after the body."""
        try:
            yield self
        finally:
            self.watch(())

    def _enter(self, pid: int | None) -> bool:
        if pid is None:
            return False
        try:
            descriptor = os.pidfd_open(pid)
        except (AttributeError, OSError):  # not Linux, or it has ended
            return False
        self._watched[pid] = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._end, pid)
        return True

    def _end(self, pid: int) -> None:
        self._leave(pid)
        self._ended.set()

    def _leave(self, pid: int) -> None:
        descriptor = self._watched.pop(pid)
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
