"""Ending a wait from outside."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Interrupt:
    """Something that ends one task's wait when it is set, and each further one at once until it is
    cleared. Unlike a wait for several things it costs no task: workers wait several times a job."""

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: asyncio.Task[Any] | None = None
        self._has_ended = False  # the wait of ``_waiting``

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        if self._waiting is not None and not self._has_ended:
            self._has_ended = True
            self._waiting.cancel()

    def clear(self) -> None:
        self._is_set = False

    async def unless_set(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Return the result of ``work``; once this is set, cancel it and return None."""
        if self._is_set:
            work.close()
            return None
        assert self._waiting is None, "one task waits at a time"
        task = asyncio.current_task()
        assert task is not None
        self._waiting, self._has_ended = task, False
        try:
            result = await work
        except asyncio.CancelledError:
            if self._has_ended and not task.uncancel():
                return None
            raise  # the task itself is canceled
        except BaseException:
            if self._has_ended:
                task.uncancel()
            raise
        else:
            if self._has_ended:
                task.uncancel()
            return result
        finally:
            self._waiting = None
