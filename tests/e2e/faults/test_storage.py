"""Storage that refuses, a full disk, a directory that is none, a database that is held."""

import contextlib
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e.faults.client import until
from tests.e2e.faults.conftest import Record
from tests.e2e.faults.lab import Lab, new_name
from tests.e2e.faults.ownership import Owned, owned
from tests.fixtures.faulty_proxy import Fault
from tests.processes import Process, clean_env

IMPATIENT = {"COMFYQ_UPLOAD_GIVE_UP_S": "0.5", "COMFYQ_RESEND_S": "0.5"}
TINY_BYTES = 4_096  # less than one commit of the database writes

embedded_only = pytest.mark.parametrize("backend", ["embedded"], indirect=True)


@pytest.fixture
def system(backend: str, workflows: Path, tmp_path: Path) -> Iterator[Owned]:
    with owned(tmp_path, backend=backend, workflows=workflows) as system:
        yield system


@pytest.fixture
def lab(system: Owned) -> Iterator[Lab]:
    lab = system.lab(system.up())
    try:
        yield lab
    finally:
        lab.close()


def break_storage(system: Owned) -> Callable[[], None]:
    """Make storage refuse every upload; what is returned heals it."""
    if system.backend == "emulator":
        system.proxy.break_(Fault("assets", "refuse", call="PUT"))
        return system.proxy.heal
    folder = system.data_dir / "assets"
    folder.write_text("a file where the folder should be")
    return folder.unlink


def test_storage_refuses_for_good(system: Owned, lab: Lab, record: Record) -> None:
    """The job fails, its files outlive the worker's process, and are sent when storage heals."""
    heal = break_storage(system)
    simulator, name = lab.simulator(), new_name("patient")
    worker = lab.worker(simulator, worker_id=name, env=IMPATIENT)
    job = lab.client.submit(seconds=0.1)
    lab.client.follower(job).wait_end()
    failed = lab.client.show(job)
    assert (failed["status"], failed["error_code"]) == ("failed", "storage-refused")
    assert failed["outputs"] == []
    worker.kill()
    lab.worker(simulator, worker_id=name, env=IMPATIENT)
    heal()
    healed = time.monotonic()
    recovered_job = lab.client.until(
        job, lambda shown: bool(shown["outputs"]), "its outputs are there"
    )
    recovered = time.monotonic()
    assert (recovered_job["status"], recovered_job["error_code"]) == ("failed", "storage-refused")
    assert lab.client.download(recovered_job["outputs"][0]["url"]).startswith(b"\x89PNG")
    assert simulator.renders(job) == 1
    until(lambda: not spooled(system), "the spool is empty again")
    record(
        "storage refuses an upload for good (outputs there, from its healing)", recovered - healed
    )


def spooled(system: Owned) -> list[Path]:
    home = system.data_dir.parent
    return [path for path in home.rglob("spool/**/*") if path.is_file()]


@embedded_only
def test_the_disk_is_full(system: Owned, lab: Lab, record: Record) -> None:
    """Nothing is accepted that cannot be kept; and with space again, everything goes on."""
    before = post(lab.up)
    assert before.status_code == 202
    _, hard = resource.prlimit(lab.up.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(lab.up.pid, resource.RLIMIT_FSIZE, (TINY_BYTES, hard))
    refused = post(lab.up)
    assert (refused.status_code, refused.json()["code"]) == (503, "table-unavailable")
    assert listed(lab.up) == [before.json()["id"]]
    assert "nothing can be stored" in health(lab.up)["reason"]
    resource.prlimit(lab.up.pid, resource.RLIMIT_FSIZE, (hard, hard))
    freed = time.monotonic()
    accepted = post(lab.up)
    assert accepted.status_code == 202
    recovered = time.monotonic()
    assert "stored" not in health(lab.up)["reason"]  # but that no worker is there yet
    assert listed(lab.up) == [accepted.json()["id"], before.json()["id"]]
    lab.worker(lab.simulator())
    for answer in (before, accepted):
        lab.client.until(answer.json()["id"], lambda job: job["status"] == "completed", "completed")
    assert lab.up.code is None
    record("the disk is full (from when there is space)", recovered - freed)


@pytest.mark.verify
@embedded_only
@pytest.mark.parametrize("sort", ["transaction", "lock file"])
def test_the_database_is_held(sort: str, system: Owned, lab: Lab, record: Record) -> None:
    assert post(lab.up).status_code == 202
    with held(system.data_dir / "comfyq.db", sort):
        refused = post(lab.up)
        assert (refused.status_code, refused.json()["code"]) == (503, "table-unavailable")
        assert len(listed(lab.up)) == 1, "what is read is still answered"
    released = time.monotonic()
    assert post(lab.up).status_code == 202
    recovered = time.monotonic()
    assert len(listed(lab.up)) == 2
    record(f"database held by another process ({sort}, from its release)", recovered - released)


@contextlib.contextmanager
def held(path: Path, sort: str) -> Iterator[None]:
    """Another process has the database, by SQLite's lock or by the one before it."""
    if sort == "transaction":
        code = "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute('BEGIN IMMEDIATE')"
    else:
        code = "import fcntl,sys; f=open(sys.argv[1]+'.lock','w'); fcntl.flock(f,fcntl.LOCK_EX)"
    waiting = f"{code}; print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", waiting, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield
        finally:
            holder.communicate()


def a_file(path: Path) -> Path:
    path.write_text("no directory")
    return path


def a_file_above(path: Path) -> Path:
    return a_file(path) / "data"


def a_damaged_database(path: Path) -> Path:
    path.mkdir()
    (path / "comfyq.db").write_bytes(b"no database " * 1_000)
    return path


def a_newer_database(path: Path) -> Path:
    path.mkdir()
    with contextlib.closing(sqlite3.connect(path / "comfyq.db")) as connection:
        connection.execute("PRAGMA user_version=9999")
    return path


def an_overwritten_page(path: Path) -> Path:
    path.mkdir()
    with contextlib.closing(sqlite3.connect(path / "comfyq.db")) as connection:
        connection.execute("CREATE TABLE item (body TEXT)")
        connection.executemany("INSERT INTO item VALUES (?)", [("x" * 3_000,)] * 20)
        connection.commit()
    with (path / "comfyq.db").open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xa5" * 4096)
    return path


SPOILT = [
    a_file,
    a_file_above,
    a_damaged_database,
    a_newer_database,
    pytest.param(an_overwritten_page, marks=pytest.mark.verify),  # a unit test has one
]


@pytest.mark.parametrize("spoil", SPOILT)
def test_up_says_at_once_what_is_wrong_with_its_data(
    spoil: Callable[[Path], Path], tmp_path: Path, record: Record, backend: str
) -> None:
    if backend != "embedded":
        pytest.skip("only the embedded backend keeps its jobs there")
    folder = spoil(tmp_path / "spoilt")
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", "comfyq.cli", "up", "--port", "0", "--data-dir", str(folder)],
        env=clean_env(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    what = spoil.__name__.replace("_", " ")
    record(f"data directory unusable: {what}", time.monotonic() - began)
    assert ended.returncode == 2, ended.stderr
    [line] = ended.stderr.splitlines()
    assert line.startswith("comfyq: ")
    assert "spoilt" in line


def post(up: Process) -> requests.Response:
    body = {"workflow": "nap", "seconds": 0.1}
    return requests.post(f"{up.url}/generate", json=body, timeout=30)


def health(up: Process) -> dict[str, Any]:
    shown: dict[str, Any] = requests.get(f"{up.url}/health", timeout=30).json()
    return shown


def listed(up: Process) -> list[str]:
    page = requests.get(f"{up.url}/generate", timeout=30).json()
    return [job["id"] for job in page["jobs"]]
