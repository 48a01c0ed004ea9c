"""The WebSocket function on Lambda's own runtime, with events as API Gateway sends them."""

import json
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from comfyq.adapters.provisioning.provision import Provisioned
from comfyq.config import PROJECT
from infra.aws_local.cloud import surroundings
from infra.aws_local.function import Function
from infra.aws_local.sandbox import Spec
from infra.aws_local.secure import identity_in, secured
from tests.fixtures.emulator import Aws
from tests.gateway_lab import served

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="awslambdaric is for Linux alone"),
]

EVENTS = Path(__file__).parents[1] / "data"
STAGE = "live"  # of the events
ENTRY_POINTS = {
    "ApiFunction": "functions.api.handler",
    "WebSocketFunction": "functions.websocket.handler",
}
REQUESTS = [{"prompt": "a fox"}, {"prompt": "a hare"}]

Frame = dict[str, Any]


def golden(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return event


CONNECTION = golden("websocket/connect")["requestContext"]["connectionId"]


@dataclass
class Connections:
    """Stands for API Gateway's @connections API, and keeps what is posted to the one socket."""

    posted: list[Frame] = field(default_factory=list)
    closed: bool = False

    @property
    def app(self) -> Starlette:
        path = f"/{STAGE}/@connections/{{connection_id}}"
        return Starlette(routes=[Route(path, self._post, methods=["POST"])])

    def taken(self) -> list[Frame]:
        """Return what was posted since this was last asked."""
        taken, self.posted = self.posted, []
        return taken

    async def _post(self, request: Request) -> Response:
        assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256")
        if self.closed or request.path_params["connection_id"] != CONNECTION:
            return JSONResponse({}, 410, headers={"x-amzn-ErrorType": "GoneException"})
        self.posted.append(json.loads(await request.body()))
        return Response()


@dataclass(frozen=True, slots=True)
class Lab:
    functions: Mapping[str, Function]
    connections: Connections
    domain: str  # of the @connections API
    aws: Aws
    table: str

    async def happens(self, name: str, body: object = None, **changes: Any) -> Mapping[str, Any]:
        """Hand on a golden event of the socket, with a frame of the client's if there is one."""
        event = golden(f"websocket/{name}") | changes
        event["requestContext"]["domainName"] = self.domain
        if body is not None:
            event["body"] = json.dumps(body)
        answer: Mapping[str, Any] = await self.functions["WebSocketFunction"].invoke(event)
        return answer

    async def told(self, name: str, **frame: Any) -> list[Frame]:
        """Send a frame to the route of its name; return what is posted to the socket."""
        action = "ping" if name == "default" else name
        answer = await self.happens(name, {"action": action, **frame})
        assert answer == {"statusCode": 200}
        return self.connections.taken()

    async def submitted(self, path: str, body: object) -> Mapping[str, Any]:
        event = golden("apigw/generate") | {"body": json.dumps(body), "rawPath": path}
        event["requestContext"]["http"]["path"] = path
        event["headers"].pop("idempotency-key", None)
        answer = await self.functions["ApiFunction"].invoke(event)
        assert answer["statusCode"] == 202, answer
        accepted: Mapping[str, Any] = json.loads(answer["body"])
        return accepted

    def items(self, partition: str) -> Iterator[Mapping[str, Any]]:
        """Return the items of a partition, by their sort keys."""
        found = self.aws.dynamodb.query(
            TableName=self.table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": partition}},
            ConsistentRead=True,
        )
        yield from found["Items"]

    def followers(self, job_id: str) -> list[Mapping[str, Any]]:
        return [each for each in self.items(f"JOB#{job_id}") if each["sk"]["S"].startswith("SUB#")]


@asynccontextmanager
async def lab_of(provisioned: Provisioned, aws: Aws, folder: Path) -> AsyncIterator[Lab]:
    connections = Connections()
    identity = identity_in(folder)
    around = surroundings(aws.endpoint("dynamodb"), identity.certificate, PROJECT / "workflows")
    environment = {
        "COMFYQ_BACKEND": "aws",
        "COMFYQ_AUTH": "none",
        "COMFYQ_TABLE": provisioned.table,
        "COMFYQ_QUEUE_URL": provisioned.queue_url,
        "COMFYQ_WEBHOOKS_QUEUE_URL": provisioned.webhooks_queue_url,
        "COMFYQ_BUCKET": provisioned.bucket,
        "PUBLIC_URL": "https://api.example",
    }
    functions = {
        name: Function(
            Spec(
                name=name,
                arn=f"arn:aws:lambda:us-east-1:000000000000:function:{name}",
                command=f"{module}.handler",
                environment=environment,
                timeout_s=20,
                memory_mb=512,
            ),
            surroundings=around,
            logs=folder,
        )
        for name, module in ENTRY_POINTS.items()
    }
    async with AsyncExitStack() as stack:
        for function in functions.values():
            stack.push_async_callback(function.stop)
        plain = await stack.enter_async_context(served(connections.app))
        domain = await stack.enter_async_context(secured(plain, identity))
        yield Lab(functions, connections, domain, aws, provisioned.table)


async def test_every_frame_of_a_client_by_the_events_of_api_gateway(
    provisioned: Provisioned, aws: Aws, tmp_path: Path
) -> None:
    async with lab_of(provisioned, aws, tmp_path) as lab:
        unknown = await lab.happens("connect", queryStringParameters={"job_id": "unknown"})
        assert unknown["statusCode"] == 404
        assert (await lab.happens("connect", queryStringParameters=None))["statusCode"] == 200
        assert await lab.told("default") == [{"type": "pong"}]
        await _jobs(lab)
        await _a_batch(lab)
        await _what_is_wrong(lab)
        await _the_end(lab)


async def _jobs(lab: Lab) -> None:
    """One and several, what was seen already, previews, and no more of it."""
    one, other = [(await lab.submitted("/generate", each))["id"] for each in REQUESTS]
    [shown] = await lab.told("subscribe", job_id=one)
    assert (shown["kind"], shown["job_id"], shown["status"]) == ("status", one, "queued")
    several = await lab.told("subscribe", job_ids=[one, other, "unknown"])
    assert {each["job_id"]: each.get("code") for each in several} == {
        one: None,
        other: None,
        "unknown": "job-not-found",
    }
    seen = {one: shown["seq"], other: 0}
    assert [
        each["job_id"] for each in await lab.told("subscribe", job_ids=[one, other], since=seen)
    ] == [other]
    assert not lab.followers(one)[0].get("previews")
    await lab.told("subscribe", job_id=one, previews=True, since=shown["seq"])
    assert lab.followers(one)[0]["previews"] == {"BOOL": True}
    [ended] = await lab.told("unsubscribe", job_ids=[one, other])
    assert (ended["type"], ended["job_ids"]) == ("unsubscribed", [one, other])
    assert lab.followers(one) == lab.followers(other) == []


async def _a_batch(lab: Lab) -> None:
    batch = await lab.submitted("/generate/batch", {"requests": REQUESTS})
    [frame] = await lab.told("subscribe", batch_id=batch["batch_id"])
    assert (frame["kind"], frame["size"], frame["counts"]["queued"]) == ("batch", 2, 2)
    assert await lab.told("subscribe", batch_id=batch["batch_id"], since=frame["seq"]) == []
    [ended] = await lab.told("unsubscribe", batch_id=batch["batch_id"])
    assert ended["batch_id"] == batch["batch_id"]


async def _what_is_wrong(lab: Lab) -> None:
    wrong: list[Frame] = [{}, {"job_id": "a", "batch_id": "b"}, {"job_ids": []}]
    for frame in wrong:
        [error] = await lab.told("subscribe", **frame)
        assert error["code"] == "invalid-request"
    await lab.happens("default", "no frame of ours")
    assert [each["code"] for each in lab.connections.taken()] == ["invalid-request"]


async def _the_end(lab: Lab) -> None:
    """A socket that has closed follows no more, whether API Gateway has told of it yet or not."""
    kept, lost = [(await lab.submitted("/generate", each))["id"] for each in REQUESTS]
    await lab.told("subscribe", job_id=kept)
    assert len(lab.followers(kept)) == 1
    lab.connections.closed = True
    assert await lab.told("subscribe", job_id=lost) == []
    assert lab.followers(lost) == []
    assert (await lab.happens("disconnect"))["statusCode"] == 200
    assert lab.followers(kept) == []
    assert list(lab.items(f"CONN#{CONNECTION}")) == []
    lab.connections.closed = False
    [error] = await lab.told("subscribe", job_id=kept)
    assert error["code"] == "connection-not-found"
