"""A lock tells whether its holder lives, however it died."""

import subprocess
import sys
from pathlib import Path

import pytest

from comfyq.adapters.filesystem import lock
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
    held = hold(path)
    assert is_held(path)
    held.release()
    assert not is_held(path)


def test_its_holder_may_delete_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, taken = tmp_path / "lock", lock._taken
    deleted = list[int]()

    def after_it_is_deleted(descriptor: int, *, shared: bool = False) -> bool:
        """Take the lock of a file that its last holder deletes once we have opened it."""
        if not deleted:
            path.unlink()
            deleted.append(descriptor)
        return taken(descriptor)

    monkeypatch.setattr(lock, "_taken", after_it_is_deleted)
    held = hold(path)
    assert deleted
    with pytest.raises(AlreadyHeld):  # and not a lock on another file of that name
        hold(path, wait_s=0)
    held.release()
