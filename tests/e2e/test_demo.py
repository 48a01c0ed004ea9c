"""``comfyq demo``, as ``make demo`` runs it."""

import re
import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.processes import clean_env

DEADLINE_S = 60


def test_one_picture_and_nothing_left(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-m", "comfyq.cli", "demo", "--width", "256", "--height", "128"]
    with subprocess.Popen(
        [*command, "--out", "out"],
        cwd=tmp_path,
        env=clean_env(tmp_path, {"TMPDIR": str(scratch), "COLUMNS": "200"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as demo:
        printed, shown = demo.communicate(timeout=DEADLINE_S)
    assert demo.returncode == 0, shown
    [file] = (tmp_path / "out").iterdir()
    with Image.open(file) as picture:
        assert (picture.format, picture.size) == ("PNG", (256, 128))
    assert f"out/{file.name}" in printed
    assert re.search(r"^job +[0-9a-f-]{36}$", printed, re.MULTILINE)
    phases = r"took +start [\d.]+ s, queued [\d.]+ s, render [\d.]+ s, download [\d.]+ s"
    assert re.search(phases, printed)
    assert "100%" in shown
    assert list(scratch.iterdir()) == []
    assert members_of(demo.pid) == []


def members_of(group: int) -> list[str]:
    """Processes that still run in a process group."""
    listed = subprocess.run(
        ["ps", "-e", "-o", "pgid=,stat=,args="], capture_output=True, text=True, check=True
    )
    lines = [line.split(None, 2) for line in listed.stdout.splitlines()]
    return [args for pgid, stat, args in lines if int(pgid) == group and stat[0] != "Z"]
