"""The process table: who a process is, whatever happens to pid and clock."""

import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from comfyq.local.processes import process_table
from comfyq.local.processes.process_table import process_of, processes


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, process_group=0
    ) as made:
        yield made
        made.kill()


def test_a_running_process_is_listed_once_with_its_group(
    sleeper: subprocess.Popen[bytes],
) -> None:
    [entry] = [each for each in processes() if each.pid == sleeper.pid]
    assert entry.group == sleeper.pid
    assert entry == process_of(sleeper.pid)


def test_what_has_ended_is_no_process_even_before_its_parent_asks(
    sleeper: subprocess.Popen[bytes],
) -> None:
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # it stays in the table
    assert psutil.Process(sleeper.pid).status() == psutil.STATUS_ZOMBIE
    assert process_of(sleeper.pid) is None
    assert sleeper.pid not in {entry.pid for entry in processes()}
    sleeper.wait()
    assert process_of(sleeper.pid) is None


def test_a_clock_that_is_set_changes_no_identity(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = process_of(sleeper.pid)
    platform, boot_time = psutil._psplatform, psutil.boot_time()  # type: ignore[attr-defined]
    monkeypatch.setattr(platform, "boot_time", lambda: boot_time + 3_600)
    assert psutil.boot_time() == boot_time + 3_600
    assert process_of(sleeper.pid) == before


def test_another_start_of_the_machine_changes_it(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = process_of(sleeper.pid)
    monkeypatch.setattr(process_table, "_boot", lambda: "another")
    after = process_of(sleeper.pid)
    assert before is not None
    assert after is not None
    assert (before.pid, before.started == after.started) == (after.pid, False)
