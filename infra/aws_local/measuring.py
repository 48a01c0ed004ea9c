"""Cold starts, warm calls and memory of every function, with nobody else about."""

import json
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from rich.console import Console

from comfyq.bootstrap.access import opened_keys
from comfyq.config import read_settings
from comfyq.domain.caller import DEFAULT_TENANT, Scope
from infra.aws_local.figures import table_of
from infra.aws_local.function import Event, Function
from infra.aws_local.sandbox import ROOT
from infra.aws_local.stack import Options, Running, running

EVENTS = ROOT / "tests" / "data"
COLD = 5  # sandboxes of each function
WARM = 200  # invocations of each
BODY = {"prompt": "a fox", "width": 64, "height": 64, "steps": 2}


async def measure() -> None:
    """Print the figures of a deployment of its own that has no worker, and that asks for keys."""
    with tempfile.TemporaryDirectory(prefix="comfyq-aws-local-") as folder:
        async with running(Options(data_dir=Path(folder), workers=0)) as here:
            key = await new_key(here.exports)
            for name, event in (await _events(here, key)).items():
                await _measure(here.functions[name], event)
            Console(width=120).print(table_of(here.functions))


async def _measure(function: Function, event: Callable[[], Event]) -> None:
    for _ in range(COLD):
        await function.stop()
        await function.invoke(event())
    for _ in range(WARM):
        await function.invoke(event())


async def new_key(exports: Mapping[str, str]) -> str:
    """Make an API key by the table alone, as an administrator does."""
    async with opened_keys(read_settings(exports, COMFYQ_BACKEND="emulator")) as keys:
        return (await keys.create(DEFAULT_TENANT, "a key", frozenset(Scope), lives=None))[1]


async def _events(here: Running, key: str) -> Mapping[str, Callable[[], Event]]:
    """Return an event for each function: a status read, a socket, a look, a submission, a ring."""
    shown = _keyed(_golden("apigw/show"), key)
    job_id = await _submitted(here.functions["ApiFunction"], key)
    shown["rawPath"] = shown["requestContext"]["http"]["path"] = f"/generate/{job_id}"
    connect = _keyed(_golden("websocket/connect"), key) | {
        "queryStringParameters": {"job_id": job_id}
    }
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


async def _submitted(api: Function, key: str) -> str:
    event = _keyed(_golden("apigw/generate"), key) | {"body": json.dumps(BODY)}
    answer = await api.invoke(event)
    job_id: str = json.loads(answer["body"])["id"]
    return job_id


def _keyed(event: Event, key: str) -> dict[str, Any]:
    return {**event, "headers": {**event["headers"], "x-api-key": key}}


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
