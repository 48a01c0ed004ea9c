"""A lock tells whether its holder lives, however it died."""

import subprocess
import sys
from pathlib import Path

import pytest

from comfyq.adapters.filesystem.lock import AlreadyHeld, hold, holder_of, is_held

HOLDER = """
import sys
from pathlib import Path
from comfyq.adapters.filesystem.lock import hold
hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_it_is_held_until_the_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "worker" / "lock"
    assert not is_held(path)
    assert not path.exists()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert is_held(path)
        assert holder_of(path) == (process.pid if sys.platform == "linux" else None)
        with pytest.raises(AlreadyHeld, match="lock"):
            hold(path)
        process.kill()
        process.wait()
    assert not is_held(path)
    assert holder_of(path) is None
    lock = hold(path)
    assert is_held(path)
    lock.release()
    assert not is_held(path)
