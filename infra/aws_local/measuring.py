"""Cold starts, warm calls and memory of every function, with nobody else about."""

import json
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from rich.console import Console

from infra.aws_local.figures import table_of
from infra.aws_local.function import Event, Function
from infra.aws_local.sandbox import ROOT
from infra.aws_local.stack import Options, Running, running

EVENTS = ROOT / "tests" / "data"
COLD = 5  # sandboxes of each function
WARM = 200  # invocations of each
BODY = {"prompt": "a fox", "width": 64, "height": 64, "steps": 2}


async def measure() -> None:
    """Print the figures of a deployment of its own that has no worker."""
    with tempfile.TemporaryDirectory(prefix="comfyq-aws-local-") as folder:
        async with running(Options(data_dir=Path(folder), workers=0)) as here:
            for name, event in (await _events(here)).items():
                await _measure(here.functions[name], event)
            Console(width=120).print(table_of(here.functions))


async def _measure(function: Function, event: Callable[[], Event]) -> None:
    for _ in range(COLD):
        await function.stop()
        await function.invoke(event())
    for _ in range(WARM):
        await function.invoke(event())


async def _events(here: Running) -> Mapping[str, Callable[[], Event]]:
    """Return an event for each function: a status read, a socket, a look, a submission, a ring."""
    shown = _golden("apigw/show")
    job_id = await _submitted(here.functions["ApiFunction"])
    shown["rawPath"] = shown["requestContext"]["http"]["path"] = f"/generate/{job_id}"
    connect = _golden("websocket/connect") | {"queryStringParameters": {"job_id": job_id}}
    schedule = _golden("sqs/schedule")
    submission = _golden("sqs/submissions")["Records"][0]
    nothing = json.dumps({"job_id": job_id, "place": "progress"})  # of which nothing was told
    ring = {"Records": [{**submission, "body": nothing}]}
    return {
        "ApiFunction": lambda: shown,
        "WebSocketFunction": partial(_connecting, connect),
        "ReaperFunction": lambda: schedule,
        "IntakeFunction": partial(_submission, submission),
        "WebhookFunction": lambda: ring,
    }


async def _submitted(api: Function) -> str:
    event = _golden("apigw/generate") | {"body": json.dumps(BODY)}
    answer = await api.invoke(event)
    job_id: str = json.loads(answer["body"])["id"]
    return job_id


def _connecting(event: Event) -> Event:
    """Each socket is another one."""
    about = {**event["requestContext"], "connectionId": uuid4().hex}
    return {**event, "requestContext": about}


def _submission(record: Mapping[str, Any]) -> Event:
    """Each message is another one."""
    fresh = {"messageId": str(uuid4()), "messageAttributes": {}, "body": json.dumps(BODY)}
    return {"Records": [{**record, **fresh}]}


def _golden(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return event
