"""The unit of ``comfyq up``, as systemd reads it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.paths import ROOT

UNIT = ROOT / "infra" / "machine" / "comfyq.service"
COMMAND = "%h/comfyq/.venv/bin/comfyq"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    text = UNIT.read_text()
    assert text.count(f"ExecStart={COMMAND} up") == 1
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace(COMMAND, "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "--man=no", "verify", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if UNIT.name in line]) == (
        0,
        [],
    )
