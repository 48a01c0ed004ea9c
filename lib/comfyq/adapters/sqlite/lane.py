import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
Connect = Callable[[], sqlite3.Connection]


@dataclass(frozen=True, slots=True)
class Task(Generic[T]):
    """Work on a connection, and the future of its result.

    Canceling the future cancels work that has not begun; other work is finished.
    """

    work: Work[T]
    future: Future[T]
    synced: bool = True  # its result is set only once the work survives a power cut

    def begin(self) -> bool:
        """Return whether the work was not canceled; from now on it cannot be."""
        return self.future.set_running_or_notify_cancel()

    def fail(self, error: BaseException) -> None:
        """Set the error for which the work was not done; no-op if it is done."""
        if not self.future.done() and (self.future.running() or self.begin()):
            self.future.set_exception(error)


Tell = Callable[[], None]
"""Set the result of a task that is done."""

Run = Callable[[sqlite3.Connection, Sequence[Task[Any]]], Sequence[Tell]]


def run_each(connection: sqlite3.Connection, tasks: Sequence[Task[Any]]) -> Sequence[Tell]:
    """Do tasks that only read, one after another."""
    return [
        partial(task.future.set_result, task.work(connection)) for task in tasks if task.begin()
    ]


class Lane:
    """Threads that work through one queue of tasks, each with a connection of its own.

    ``run`` does up to ``together`` waiting tasks at once. ``guard`` is entered before any of them
    begins, so tasks that wait for it can still be canceled, and left before any result is told, so
    that who is told can enter it at once.
    """

    def __init__(
        self,
        *,
        name: str,
        threads: int,
        connect: Connect,
        guard: Callable[[], AbstractContextManager[Any]],
        run: Run = run_each,
        together: int = 1,
    ) -> None:
        self._name = name
        self._size = threads
        self._connect = connect
        self._guard = guard
        self._run = run
        self._together = together
        self._tasks: queue.SimpleQueue[Task[Any] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._starting = threading.Lock()

    def submit(self, work: Work[T], *, synced: bool = True) -> Future[T]:
        future: Future[T] = Future()
        self._start()
        self._tasks.put(Task(work, future, synced))
        return future

    def close(self, *, timeout_s: float) -> None:
        """Stop once all submitted tasks are done, or abandon them after ``timeout_s``."""
        threads, self._threads = self._threads, []
        for _ in threads:
            self._tasks.put(None)
        for thread in threads:
            thread.join(timeout_s)

    def _start(self) -> None:
        with self._starting:
            while len(self._threads) < self._size:
                # A daemon thread: callers that must not lose writes await them.
                thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self) -> None:
        connection: sqlite3.Connection | None = None
        while tasks := self._next():
            try:
                connection = connection or self._connect()
                with self._guard():
                    outcomes = self._run(connection, tasks)
                for tell in outcomes:
                    tell()
            except Exception as error:
                for task in tasks:
                    task.fail(error)
                # After an error of SQLite's own the next task gets a fresh connection.
                if connection is not None:
                    connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _next(self) -> Sequence[Task[Any]]:
        """Return the waiting work, at most ``together`` of it; nothing once the lane is closed."""
        first = self._tasks.get()
        if first is None:
            return []
        tasks = [first]
        while len(tasks) < self._together:
            try:
                another = self._tasks.get_nowait()
            except queue.Empty:
                break
            if another is None:
                self._tasks.put(None)  # closes the lane after these
                break
            tasks.append(another)
        return tasks
