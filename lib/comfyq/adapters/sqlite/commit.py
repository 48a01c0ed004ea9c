"""Transactions that wait at the same time are committed together: one sync of the disk for all.

Each transaction is atomic by its own savepoint, and its result is returned only after the commit.
If none of them needs a sync, there is none. The next sync covers the whole log up to its end, so a
power cut never loses an earlier transaction while keeping a later one.
"""

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar

from comfyq.adapters.sqlite.lane import Task, Tell, Work

T = TypeVar("T")

TOGETHER = 64


def commit_together(connection: sqlite3.Connection, tasks: Sequence[Task[Any]]) -> Sequence[Tell]:
    """Do all tasks in one transaction; after an error of SQLite's own, each in one of its own.

    Returns what sets the results that are not set yet.

    Raises:
        sqlite3.Error: the last such error; the tasks that it failed have it as their result.
    """
    begun = [task for task in tasks if task.begin()]
    try:
        return _commit(connection, begun)
    except sqlite3.Error:
        if len(begun) == 1:
            raise
        _commit_alone(connection, begun)
        return []


def commit_one(connection: sqlite3.Connection, work: Work[T]) -> T:
    """Do one transaction, as safe as the connection is set to make it; it is rolled back if
    ``work`` raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def _commit_alone(connection: sqlite3.Connection, tasks: Sequence[Task[Any]]) -> None:
    failed: sqlite3.Error | None = None
    for task in tasks:
        try:
            for tell in _commit(connection, [task]):
                tell()
        except sqlite3.Error as error:
            task.future.set_exception(error)
            failed = error
    if failed is not None:
        raise failed


def _commit(connection: sqlite3.Connection, tasks: Sequence[Task[Any]]) -> Sequence[Tell]:
    if not tasks:
        return []
    # https://www.sqlite.org/pragma.html#pragma_synchronous: of a WAL, FULL syncs at each commit
    synchronous = "FULL" if any(task.synced for task in tasks) else "NORMAL"
    connection.execute(f"PRAGMA synchronous={synchronous}")
    # A deferred transaction that turns into a writer is refused at once, not after the time-out.
    connection.execute("BEGIN IMMEDIATE")
    try:
        if len(tasks) == 1:  # the transaction is its savepoint
            outcomes = [_alone(connection, tasks[0])]
        else:
            outcomes = [_within_savepoint(connection, task) for task in tasks]
        if connection.in_transaction:
            connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return outcomes


def _alone(connection: sqlite3.Connection, task: Task[Any]) -> Tell:
    try:
        return partial(task.future.set_result, task.work(connection))
    except sqlite3.Error:
        raise
    except BaseException as refused:
        connection.execute("ROLLBACK")
        return partial(task.future.set_exception, refused)


def _within_savepoint(connection: sqlite3.Connection, task: Task[Any]) -> Tell:
    connection.execute("SAVEPOINT task")
    try:
        result = task.work(connection)
    except sqlite3.Error:
        raise
    except BaseException as refused:
        connection.execute("ROLLBACK TO task")
        return partial(task.future.set_exception, refused)
    finally:
        if connection.in_transaction:
            connection.execute("RELEASE task")
    return partial(task.future.set_result, result)
