"""The emulator is a process that comes, goes, and never stays behind."""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from comfyq.adapters.provisioning.provision import Provisioned, provision
from comfyq.local.emulator import Emulator, EmulatorError
from tests.fixtures.emulator import ENVIRONMENT, TEMPLATE, Aws

PARENT = """
import sys
from pathlib import Path
from comfyq.adapters.provisioning.provision import Provisioned, provision
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
    with pytest.raises(EmulatorError, match="make emulator"):
        Emulator(environment=tmp_path / ".emulator").start()


def made(aws: Aws) -> Provisioned:
    return provision(TEMPLATE, prefix="kept", dynamodb=aws.dynamodb, sqs=aws.sqs, s3=aws.s3)


def test_it_keeps_its_data_over_an_orderly_stop(emulator: Emulator, tmp_path: Path) -> None:
    kept = Emulator(environment=ENVIRONMENT, data_dir=tmp_path / "data")
    with kept:
        aws = Aws(kept.url)
        names = made(aws)
        aws.s3.put_object(Bucket=names.bucket, Key="a", Body=b"body")
        aws.sqs.send_message(QueueUrl=names.queue_url, MessageBody="message")
        aws.dynamodb.put_item(TableName=names.table, Item={"pk": {"S": "a"}, "sk": {"S": "b"}})
    assert not answers(kept.url)
    with kept:
        aws = Aws(kept.url)
        names = made(aws)
        assert names.queue_url.startswith(kept.url)
        assert aws.s3.get_object(Bucket=names.bucket, Key="a")["Body"].read() == b"body"
        (message,) = aws.sqs.receive_message(QueueUrl=names.queue_url)["Messages"]
        assert message["Body"] == "message"
        key = {"pk": {"S": "a"}, "sk": {"S": "b"}}
        assert aws.dynamodb.get_item(TableName=names.table, Key=key)["Item"] == key


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
