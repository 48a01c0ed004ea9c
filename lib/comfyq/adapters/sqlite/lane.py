import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
Connect = Callable[[], sqlite3.Connection]


@dataclass(frozen=True, slots=True)
class Task(Generic[T]):
    """Work on a connection, and the future that whoever asked for it waits on.

    Cancelling the future takes back what has not begun, and only that.
    """

    work: Work[T]
    future: Future[T]

    def run(self, connection: sqlite3.Connection) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.work(connection)
        except BaseException as error:
            self.future.set_exception(error)
            if isinstance(error, sqlite3.Error):
                raise
        else:
            self.future.set_result(result)

    def fail(self, error: BaseException) -> None:
        """Pass on an error that kept the work from running; no-op where it has run."""
        if not self.future.done() and self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


class Lane:
    """Threads that work off one list of tasks, each with a connection of its own.

    ``guard`` is entered before a task begins, so what waits for it can still be taken back.
    """

    def __init__(
        self,
        *,
        name: str,
        threads: int,
        connect: Connect,
        guard: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        self._name = name
        self._size = threads
        self._connect = connect
        self._guard = guard
        self._tasks: queue.SimpleQueue[Task[Any] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._starting = threading.Lock()

    def submit(self, work: Work[T]) -> Future[T]:
        future: Future[T] = Future()
        self._start()
        self._tasks.put(Task(work, future))
        return future

    def close(self, *, timeout_s: float) -> None:
        """Stop when everything submitted is done, or let go of it after ``timeout_s``."""
        threads, self._threads = self._threads, []
        for _ in threads:
            self._tasks.put(None)
        for thread in threads:
            thread.join(timeout_s)

    def _start(self) -> None:
        with self._starting:
            while len(self._threads) < self._size:
                # A daemon: whoever must not lose its writes waits for them.
                thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self) -> None:
        connection: sqlite3.Connection | None = None
        while (task := self._tasks.get()) is not None:
            try:
                connection = connection or self._connect()
                with self._guard():
                    task.run(connection)
            except Exception as error:
                task.fail(error)
                # After an error of SQLite's own the next task gets a fresh connection.
                if connection is not None:
                    connection.close()
                connection = None
        if connection is not None:
            connection.close()
