import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import moto
import pytest

from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.queue import SqliteQueue
from comfyq.adapters.sqs.queue import SqsQueue
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.queue import MemoryQueue
from tests.contract.queue.bench import MAX_RECEIVES, VISIBILITY_S, Bench
from tests.fixtures.emulator import Aws, new_session


def _sqs(aws: Aws, url: str, redrive: dict[str, Any]) -> Bench:
    aws.sqs.set_queue_attributes(
        QueueUrl=url,
        Attributes={
            "VisibilityTimeout": "120",  # receivers say another one
            "RedrivePolicy": json.dumps({**redrive, "maxReceiveCount": MAX_RECEIVES}),
        },
    )
    queue = SqsQueue(client=lambda: aws.sqs, url=url, visibility_s=VISIBILITY_S)
    return Bench(queue, raw=(aws.sqs, url))


# Made after moto was imported: it does not reach into sessions that are older.
MOTO_SESSION = new_session()


def _moto() -> Iterator[Bench]:
    with moto.mock_aws():
        aws = Aws(None, MOTO_SESSION)
        dead = aws.sqs.create_queue(QueueName="dead")["QueueUrl"]
        arn = aws.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
        redrive = {"deadLetterTargetArn": arn["Attributes"]["QueueArn"]}
        url = aws.sqs.create_queue(QueueName="jobs")["QueueUrl"]
        yield replace(_sqs(aws, url, redrive), is_moto=True)


def _aws(request: pytest.FixtureRequest) -> Bench:
    aws: Aws = request.getfixturevalue("aws")
    url = request.getfixturevalue("provisioned").queue_url
    attributes = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
    redrive = json.loads(attributes["Attributes"]["RedrivePolicy"])
    assert redrive["maxReceiveCount"] == 10  # as the template says
    return _sqs(aws, url, redrive)


@pytest.fixture(params=["memory", "sqlite", pytest.param("sqs", marks=pytest.mark.sqs), "moto"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    clock = ManualClock()
    match request.param:
        case "memory":
            queue = MemoryQueue(clock=clock, visibility_s=VISIBILITY_S, max_receives=MAX_RECEIVES)
            yield Bench(queue, clock)
        case "sqlite":
            database = Database(path=tmp_path / "comfyq.db")
            yield Bench(
                SqliteQueue(
                    database=database,
                    clock=clock,
                    visibility_s=VISIBILITY_S,
                    max_receives=MAX_RECEIVES,
                ),
                clock,
            )
            database.close()
        case "sqs":
            yield _aws(request)
        case _:
            yield from _moto()
