"""The scan for secrets that `make check` runs, in a repository with one and without."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

SCRIPT = ROOT / "infra" / "secret_scan.sh"
SCANNER = Path(sys.executable).with_name("detect-secrets-hook")
AWS = "AKIA" + "QYLPMN5H" + "HKLCXTVE"  # in parts, or it would be found here
PEM = "-----BEGIN RSA " + "PRIVATE KEY-----"
URL = "https://fox:" + "Zx81correct@example.com/"


def scanned(folder: Path, name: str, text: str) -> subprocess.CompletedProcess[str]:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    for command in (["git", "init", "-q"], ["git", "add", "-A"]):
        subprocess.run(command, cwd=folder, check=True)
    return subprocess.run(
        [SCRIPT],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "SECRET_SCAN": str(SCANNER)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["lib/a.py", "tests/data/a.json"])
@pytest.mark.parametrize("secret", [AWS, PEM, URL], ids=["aws", "pem", "url"])
def test_a_secret_is_found_and_not_repeated(tmp_path: Path, name: str, secret: str) -> None:
    found = scanned(tmp_path, name, f"first = 1\nit = '{secret}'\n")
    assert found.returncode != 0
    assert f"{name}:2" in found.stdout
    assert secret not in found.stdout + found.stderr


def test_without_secrets_it_passes(tmp_path: Path) -> None:
    clean = scanned(tmp_path, "a.py", 'MINIO_SECRET_KEY = "hidden"\n')
    assert (clean.returncode, clean.stdout) == (0, "")


def test_where_git_tracks_nothing_it_does_not_pass(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    nothing = subprocess.run(
        [SCRIPT], cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=False
    )
    assert nothing.returncode != 0
