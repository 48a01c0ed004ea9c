"""The emulator is a process that comes, goes, and never stays behind."""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from comfyq.local.emulator import Emulator, EmulatorError
from tests.fixtures.emulator import ENVIRONMENT, Aws

PARENT = """
import sys
from pathlib import Path
from comfyq.local.emulator import Emulator
print(Emulator(environment=Path(sys.argv[1])).start().url, flush=True)
sys.stdin.read()
"""


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/_ministack/health", timeout=5).close()
    except (urllib.error.URLError, ConnectionError):
        return False
    return True


def test_a_missing_one_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(EmulatorError, match="run make emulator"):
        Emulator(environment=tmp_path / ".emulator").start()


def test_it_keeps_its_data_over_an_orderly_stop(emulator: Emulator, tmp_path: Path) -> None:
    kept = Emulator(environment=ENVIRONMENT, data_dir=tmp_path / "data")
    with kept:
        Aws(kept.url).s3.create_bucket(Bucket="kept")
        Aws(kept.url).sqs.create_queue(QueueName="kept")
    assert not answers(kept.url)
    with kept:
        assert Aws(kept.url).s3.list_buckets()["Buckets"][0]["Name"] == "kept"
        assert len(Aws(kept.url).sqs.list_queues()["QueueUrls"]) == 1


def test_it_ends_with_a_parent_that_was_killed(emulator: Emulator) -> None:
    command = [sys.executable, "-c", PARENT, str(ENVIRONMENT)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        assert answers(url)
        parent.kill()
    deadline = time.monotonic() + 20
    while answers(url):
        assert time.monotonic() < deadline, "the emulator outlived its parent"
        time.sleep(0.05)
