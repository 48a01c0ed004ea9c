"""The state of a data directory: whether its database is whole and of a version that we know."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from comfyq.adapters.sqlite.integrity import damage_of, version_fault
from comfyq.adapters.system.clock import SystemClock
from comfyq.adapters.system.space import GIGABYTE, DiskSpace, free_bytes
from comfyq.bootstrap.backends.embedded import database_file
from comfyq.bootstrap.machine.writable import writing_fault
from comfyq.bootstrap.runtime_file import FOLDER as RUNNING
from comfyq.config import Backend, Settings
from comfyq.domain.diagnosis import Finding, FindingState
from comfyq.domain.errors import TableUnavailable
from comfyq.services.operations.findings import SET_CLOCK, SUSPECT_SKEW_S

AT_START_S = 5.0  # for the check at the start; `comfyq doctor` takes as long as it needs
RESTORE = "stop every comfyq that uses it, then restore it as docs/how-to/keep.md says"

NO_ROOM = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))
NO_FOLDER = (os.strerror(errno.ENOTDIR), os.strerror(errno.EEXIST))


def has_data(settings: Settings) -> bool:
    """Return whether a comfyq has worked with the data directory."""
    return database_file(settings).is_file() or (settings.data_dir / RUNNING).is_dir()


def has_table(settings: Settings) -> bool:
    """Return whether the table that the settings name is there: only an embedded one is made by
    whoever opens it."""
    return settings.backend is not Backend.EMBEDDED or database_file(settings).is_file()


def refuse_damage(settings: Settings) -> None:
    """Check an existing database, as far as that goes in AT_START_S.

    Raises:
        TableUnavailable: it is damaged.
    """
    file = database_file(settings)
    if settings.backend is not Backend.EMBEDDED or not file.is_file():
        return
    try:
        damage = damage_of(file, within_s=AT_START_S)
    except sqlite3.Error:
        return  # who opens it next says what is wrong
    if damage is not None:
        raise TableUnavailable(f"{file} is damaged ({damage}): {RESTORE}")


def data_findings(settings: Settings) -> Iterator[Finding]:
    """Look at the data directory, its disk, its database and, by its files, the clock."""
    subject, folder = "data directory", settings.data_dir
    fault = writing_fault(folder)
    if fault is not None:
        remedy = f"{_remedy_of(fault)}, or name another with --data-dir"
        yield Finding(subject, FindingState.WRONG, f"{folder}: {fault}", remedy)
    elif not folder.exists():
        yield Finding(subject, FindingState.OK, f"{folder} is made by the first `comfyq up`")
    else:
        yield Finding(subject, FindingState.OK, f"{folder} can be written")
    yield from _outputs(settings.outputs_dir)
    yield _disk(settings)
    file = database_file(settings)
    if settings.backend is Backend.EMBEDDED and file.is_file():
        yield _database(file)
        yield _clock(file)


def _remedy_of(fault: str) -> str:
    if fault in NO_ROOM:
        return "free space on its disk"
    if fault in NO_FOLDER:
        return "move the file away that stands where a folder is needed"
    return "give it to the user that runs comfyq"


def _outputs(folder: Path | None) -> Iterator[Finding]:
    if folder is None:
        return
    subject, fault = "outputs folder", writing_fault(folder)
    if fault is None:
        yield Finding(subject, FindingState.OK, f"{folder} can be written")
    else:
        remedy = f"{_remedy_of(fault)}, or name another by COMFYQ_OUTPUTS_DIR"
        yield Finding(subject, FindingState.WRONG, f"{folder}: {fault}", remedy)


def _disk(settings: Settings) -> Finding:
    subject, folder = "disk", settings.data_dir
    disk = DiskSpace({"the data directory": folder}, least_bytes=settings.worker.min_free_bytes)
    shortage = disk.shortage()
    if shortage is not None:
        remedy = "jobs wait meanwhile; or set COMFYQ_MIN_FREE_BYTES lower"
        return Finding(subject, FindingState.WRONG, shortage, remedy)
    return Finding(subject, FindingState.OK, f"{free_bytes(folder) / GIGABYTE:.1f} GB free")


def _database(file: Path) -> Finding:
    subject = "database"
    try:
        version = version_fault(file)
        damage = None if version else damage_of(file)
    except sqlite3.Error as error:
        is_full = writing_fault(file.parent) in NO_ROOM  # SQLite then cannot even read
        remedy = "free space on its disk, then look again" if is_full else RESTORE
        return Finding(subject, FindingState.WRONG, f"{file}: {error}", remedy)
    if version is not None:
        remedy = "the data directory is a newer comfyq's, which alone can use it"
        return Finding(subject, FindingState.WRONG, f"{file}: {version}", remedy)
    if damage is not None:
        return Finding(subject, FindingState.WRONG, f"{file} is damaged: {damage}", RESTORE)
    return Finding(subject, FindingState.OK, f"{file.name} is whole")


def _clock(file: Path) -> Finding:
    """Compare the clock with the last write, which lies ahead if the clock was set back."""
    files = (file, file.with_name(f"{file.name}-wal"))
    written_s = max(each.stat().st_mtime for each in files if each.exists())
    ahead_s = (datetime.fromtimestamp(written_s, UTC) - SystemClock().now()).total_seconds()
    if ahead_s < SUSPECT_SKEW_S:
        return Finding("clock", FindingState.OK, "after the last write to the database")
    told = f"the last write to the database lies {ahead_s:.0f} s ahead: the clock was set back"
    return Finding("clock", FindingState.WARNING, told, SET_CLOCK)
