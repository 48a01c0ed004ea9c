"""The recipe for a backup, as its page has it."""

import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from tests.paths import ROOT

PAGE = ROOT / "docs" / "how-to" / "keep.md"
RECIPE = re.compile(r"## Backup\n.*?```bash\n(.*?)```", re.DOTALL)


def test_backups_are_private_and_each_has_a_folder_of_its_own(tmp_path: Path) -> None:
    recipe = RECIPE.search(PAGE.read_text(encoding="utf-8"))
    assert recipe is not None
    (tmp_path / ".comfyq" / "assets").mkdir(parents=True)
    (tmp_path / ".comfyq" / "assets" / "a.png").touch(mode=0o644)
    with closing(sqlite3.connect(tmp_path / ".comfyq" / "comfyq.db")) as connection:
        connection.execute("CREATE TABLE jobs (id)")
    for day in ("2026-01-01", "2026-01-02"):
        dated = f"umask 022; date() {{ echo {day}; }}\n{recipe[1]}"
        subprocess.run(["bash", "-ec", dated], cwd=tmp_path, check=True)
        folder = tmp_path / "backup" / day
        assert sorted(each.name for each in folder.iterdir()) == ["assets", "comfyq.db"]
    files = [tmp_path / "backup", *(tmp_path / "backup").rglob("*")]
    assert [each for each in files if each.stat().st_mode & 0o077] == []
