"""A write that fails is remembered until one succeeds, or for a minute."""

import sqlite3
from concurrent.futures import Future

import pytest

from comfyq.adapters.sqlite.failures import KEPT_S, LastWrite
from comfyq.ports.table import ConditionFailed

FULL = sqlite3.OperationalError("database or disk is full")
FULL.sqlite_errorcode = sqlite3.SQLITE_FULL


class Writes:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.last = LastWrite(now_s=lambda: self.now_s)

    def end(self, error: Exception | None = None) -> None:
        write = Future[None]()
        self.last.follow(write)
        if error is None:
            write.set_result(None)
        else:
            write.set_exception(error)


@pytest.fixture
def writes() -> Writes:
    return Writes()


def test_a_success_ends_the_failure(writes: Writes) -> None:
    assert writes.last.failure is None
    writes.end(FULL)
    assert writes.last.failure == "the disk is full (database or disk is full)"
    writes.end()
    assert writes.last.failure is None


def test_a_refused_condition_or_a_canceled_write_says_nothing(writes: Writes) -> None:
    writes.end(FULL)
    writes.end(ConditionFailed({}))
    canceled = Future[None]()
    writes.last.follow(canceled)
    canceled.cancel()
    canceled.set_running_or_notify_cancel()
    assert writes.last.failure is not None


def test_no_path_is_told(writes: Writes) -> None:
    writes.end(OSError(28, "No space left on device", "data/comfyq.db.lock"))
    assert writes.last.failure == "No space left on device"


def test_an_old_failure_says_nothing_about_now(writes: Writes) -> None:
    writes.end(FULL)
    writes.now_s = KEPT_S + 1
    assert writes.last.failure is None
