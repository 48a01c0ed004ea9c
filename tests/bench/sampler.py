"""A profiler that stands beside a process, and the modules that it saw run."""

import re
import signal
import subprocess
import sysconfig
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from comfyq.config import PROJECT

PROGRAM = PROJECT / ".bench" / "bin" / "py-spy"
SAMPLES_A_S = 250
# Stacks of whoever holds the interpreter's lock: a thread that waits looks as if it ran. And the
# process goes on meanwhile: what is stopped so often takes longer for everything.
HOW = ("--gil", "--threads", "--nonblocking", "--full-filenames", "--format", "raw")
START_S = 60.0

OURS = ("comfyq", "comfyui_simulator")
LIBRARY = PROJECT / "lib"
STANDARD_LIBRARY = sysconfig.get_path("stdlib")
LINE = re.compile(r"thread \((?P<thread>\w+)\)(: (?P<name>[^;]*))?(;(?P<frames>.*))? (?P<seen>\d+)")
FILE = re.compile(r" \((.*?)(?::\d+)?\)$")  # of a frame, with the line in it
GENERATED = "<string>"  # methods of dataclasses: their time is their caller's


@dataclass(frozen=True, slots=True)
class Sample:
    """A stack that was seen in a thread, by its modules."""

    thread: int  # as Linux numbers it
    name: str  # of the thread
    modules: Sequence[str]  # the innermost last
    seen: int


@contextmanager
def sampled(pid: int, into: Path) -> Iterator[None]:
    """Write the stacks of a process into a file while the body runs; see ``read_samples``."""
    assert PROGRAM.exists(), f"{PROGRAM} is missing; `make .bench/.made` installs it"
    log = into.with_suffix(".log")
    command = [PROGRAM, "record", "--pid", pid, "--rate", SAMPLES_A_S, *HOW, "--output", into]
    with log.open("wb") as output:
        profiler = subprocess.Popen([str(part) for part in command], stdout=output, stderr=output)
    try:
        _wait_until_sampling(profiler, log)
        yield
    finally:
        profiler.send_signal(signal.SIGINT)  # it writes its file
        profiler.wait()


def _wait_until_sampling(profiler: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while "Sampling process" not in log.read_text(errors="replace"):
        assert profiler.poll() is None, f"the profiler ended:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"the profiler does not start:\n{log.read_text()}"
        time.sleep(0.05)


def read_samples(lines: Iterable[str]) -> Iterator[Sample]:
    """Read what the profiler wrote; ValueError for a line that is none of its own."""
    for line in lines:
        match = LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"no stack of the profiler: {line!r}")
        files = (FILE.search(frame) for frame in (match["frames"] or "").split(";"))
        yield Sample(
            thread=int(match["thread"], 0),
            name=match["name"] or "",
            modules=[module_of(file[1]) for file in files if file and file[1] != GENERATED],
            seen=int(match["seen"]),
        )


def module_of(file: str) -> str:
    """Name our module, the package of somebody else, or the part of the standard library."""
    path = Path(file)
    parts = path.with_suffix("").parts
    if path.is_relative_to(LIBRARY):
        return ".".join(path.relative_to(LIBRARY).with_suffix("").parts)
    if "site-packages" in parts:  # before the standard library, which it may be in
        return parts[parts.index("site-packages") + 1]
    if path.is_relative_to(STANDARD_LIBRARY):
        return f"python: {path.relative_to(STANDARD_LIBRARY).with_suffix('').parts[0]}"
    return f"python: {file}" if file.startswith("<") else path.stem
