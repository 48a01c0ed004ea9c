"""Sockets of ComfyUI's API on a server of one machine, with jobs that a test moves by hand."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import httpx2
import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from comfyq.adapters.gateway.notifier import GatewayNotifier
from comfyq.adapters.system.clock import SystemClock
from comfyq.bootstrap.backends.sockets_secret import sockets_secret
from comfyq.domain import job as jobs
from comfyq.domain.api_key import KeyId
from comfyq.domain.caller import Scope
from comfyq.domain.files.output import Output, OutputKind
from comfyq.domain.job import Job, JobError, JobId
from comfyq.domain.job.preview import SmallPicture
from comfyq.domain.job.progress import Progress
from comfyq.edges.websocket.rendering import render_preview
from comfyq.local.application import local_app
from comfyq.local.serving import serving_app
from tests.access_lab import ALL, OTHER, AccessLab
from tests.api_lab import output
from tests.comfy_lab import GRAPH

pytestmark = pytest.mark.anyio

WAIT_S = 10
CONTENT = b"0123456789"
SENT = {**GRAPH, "8": {"class_type": "SaveImageWebsocket", "inputs": {"images": ["3", 0]}}}


class SocketLab(AccessLab):
    """A server whose sockets are reached as on one machine."""

    url = ""

    def __init__(self, **settings: Any) -> None:
        async def secret() -> bytes:
            return await sockets_secret(self.table)()

        notifier: Any = GatewayNotifier(secret=secret, clock=SystemClock())
        super().__init__(notifier=notifier, **({"COMFYQ_AUTH": "none"} | settings))
        self.services.ports = replace(self.services.ports, sockets=notifier)
        self.store(output(), CONTENT)

    @asynccontextmanager
    async def socket(
        self, query: str = "clientId=c", *, path: str = "/ws", user: str = ""
    ) -> AsyncIterator[ClientConnection]:
        address = self.url.replace("http://", f"ws://{user}")
        async with websockets.connect(f"{address}{path}?{query}", max_size=None) as socket:
            yield socket

    async def send(self, graph: Any = GRAPH, *, key: str | None = None, **more: Any) -> Job:
        """Submit a graph as a client does, over the network: only there are its sockets reached."""
        headers = {} if key is None else {"X-API-Key": key}
        async with httpx2.AsyncClient(base_url=self.url) as client:
            body = json.dumps({"prompt": graph, **more})
            answer = await client.post("/prompt", content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return await self.records.get(JobId(answer.json()["prompt_id"]))

    async def succeed_running(self, job_id: str, *outputs: Output) -> Job:
        token = (await self.records.get(JobId(job_id))).attempt
        return await self.change(job_id, partial(jobs.succeed, token=token), outputs=outputs)

    async def tell(self, job: Job) -> Job:
        """Tell a job's followers how it is, as its worker does."""
        if job.status.terminal:
            return await self.services.announcer.announce_end(job)
        await self.services.announcer.announce(job)
        return job

    async def preview(self, job: Job, node: str) -> None:
        """Post a preview to those who want it, as its worker does."""
        followers = await self.services.job_followers.of_job(job.id)
        frame = render_preview(job, node, SmallPicture(CONTENT, "image/jpeg", 8, 8))
        await self.services.job_followers.post(job.id, [x for x in followers if x.previews], frame)


@pytest.fixture
async def lab() -> AsyncIterator[SocketLab]:
    async with _serving(SocketLab()) as lab:
        yield lab


@asynccontextmanager
async def _serving(lab: SocketLab) -> AsyncIterator[SocketLab]:
    async with serving_app(local_app(lab.services), host="127.0.0.1", port=0) as url:
        lab.url = url
        yield lab


async def told(socket: ClientConnection, last: str, **data: Any) -> list[Any]:
    """Return what a socket is sent up to a message of a kind with such data."""
    messages: list[Any] = []
    async with asyncio.timeout(WAIT_S):
        while True:
            received = await socket.recv()
            message = received if isinstance(received, bytes) else json.loads(received)
            messages.append(message)
            if not isinstance(message, dict):
                continue
            if message["type"] == last and data.items() <= message["data"].items():
                return messages


def kinds(messages: list[Any]) -> list[Any]:
    """Name messages by their kinds, and what executes by its node."""
    return [
        each[:8]
        if isinstance(each, bytes)
        else (each["type"], each["data"]["node"])
        if each["type"] in ("executing", "executed")
        else each["type"]
        for each in messages
    ]


async def test_each_socket_of_a_client_is_told_of_its_jobs_in_comfyuis_words(
    lab: SocketLab,
) -> None:
    async with (
        lab.socket() as one,
        lab.socket(path="/comfyui/api/ws") as two,
        lab.socket("clientId=d") as others,
    ):
        for socket, name in ((one, "c"), (two, "c"), (others, "d")):
            [first] = await told(socket, "status")
            status = {"exec_info": {"queue_remaining": 0}}
            assert first == {"type": "status", "data": {"status": status, "sid": name}}
        await two.send(json.dumps(FLAGS))
        [flags] = await told(two, "feature_flags")
        assert flags["data"]["supports_preview_metadata"] is True

        job = await lab.send(client_id="c")
        running = await lab.tell(await lab.start(job.id))
        await lab.tell(await lab.advance(job.id, Progress(0.1, 1, 4, "EmptyImage", "3", 0, 2)))
        await lab.preview(running, "3")
        await lab.tell(await lab.advance(job.id, Progress(0.2, 2, 4, "EmptyImage", "3", 0, 2)))
        await told(two, "progress", value=2)
        await lab.tell(await lab.succeed_running(job.id, output(), text("b.txt", "hello")))

        messages = await told(one, "executing", node=None)
        await told(two, "executing", node=None)
        await lab.send(client_id="d")
        assert kinds(await told(others, "status")) == ["status"], "it is none of its own"
    assert [each for each in kinds(messages) if each != "status"] == [
        "execution_start",
        "execution_cached",
        ("executing", "3"),
        "progress",
        "progress",
        ("executed", "9"),
        "execution_success",
        ("executing", None),
    ]
    assert all(each["data"].get("prompt_id", job.id) == job.id for each in messages)
    [executed] = [each["data"] for each in messages if each["type"] == "executed"]
    name = f"a{job.id[:-4]}0001.png"
    file = {"filename": name, "subfolder": "", "type": "output"}
    assert executed["output"] == {"images": [file], "text": ["hello"]}
    counts = [
        each["data"]["status"]["exec_info"]["queue_remaining"]
        for each in messages
        if each["type"] == "status"
    ]
    assert counts == [1, 0], "a client may leave at none"


FLAGS = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}


def text(name: str, content: str) -> Any:
    return replace(output(name, kind=OutputKind.TEXT), text=content, key="")


async def test_previews_come_to_those_who_want_them(lab: SocketLab) -> None:
    async with (
        lab.socket() as plain,
        lab.socket() as new,
        lab.socket("clientId=c&previews=1") as old,
    ):
        await new.send(json.dumps(FLAGS))
        await told(new, "feature_flags")
        job = await lab.send(client_id="c")
        running = await lab.tell(await lab.start(job.id))
        for socket in (plain, new, old):
            await told(socket, "execution_cached")
        await lab.preview(running, "3")
        async with asyncio.timeout(WAIT_S):
            framed, bare = await new.recv(), await old.recv()
        await lab.tell(await lab.succeed_running(job.id, output()))
        assert not [
            each for each in await told(plain, "executing", node=None) if type(each) is bytes
        ]
    assert bare == struct.pack(">II", 1, 1) + CONTENT
    assert isinstance(framed, bytes)
    kind, size = struct.unpack(">II", framed[:8])
    meta = json.loads(framed[8 : 8 + size])
    assert (kind, framed[8 + size :]) == (4, CONTENT)
    assert (meta["node_id"], meta["prompt_id"], meta["image_type"]) == ("3", job.id, "image/jpeg")


async def test_a_socket_that_opens_late_or_again_misses_nothing(lab: SocketLab) -> None:
    old = await lab.send(client_id="c")
    await lab.tell(await lab.succeed(old.id, output()))
    lab.clock.advance(3_600)
    ended, going = await lab.send(client_id="c"), await lab.send(SENT, client_id="c")
    await lab.tell(await lab.succeed(ended.id, output()))
    async with lab.socket() as socket:
        messages = await told(socket, "executing", node=None)
        assert messages[0]["data"]["status"]["exec_info"]["queue_remaining"] == 1
        assert messages[-1]["data"]["prompt_id"] == ended.id
        assert all(each["data"].get("prompt_id") != old.id for each in messages)
        await lab.tell(await lab.start(going.id))
        await told(socket, "execution_start", prompt_id=going.id)
    await lab.tell(await lab.advance(going.id, Progress(0.1, 1, 4, "EmptyImage", "3", 0, 2)))
    async with lab.socket() as socket:
        messages = await told(socket, "progress", prompt_id=going.id)
        assert "execution_start" in kinds(messages), "ComfyUI tells the node alone"
        made = replace(output(), node="8")
        await lab.tell(await lab.succeed_running(going.id, made))
        last = await told(socket, "executing", node=None, prompt_id=going.id)
        picture = [struct.pack(">II", 1, 2), ("executed", "8")]
        told_last = kinds(last)[-6:]
        assert told_last[:3] == [("executing", "8"), *picture], "as SaveImageWebsocket sends it"


async def test_ends_that_are_none_are_told_as_comfyui_does(lab: SocketLab) -> None:
    async with lab.socket() as socket:
        failed, canceled = await lab.send(client_id="c"), await lab.send(client_id="c")
        error = JobError("node-error", "it broke at /opt/secret/x.py", "3", ("a", "b"))
        await lab.tell(await lab.fail(failed.id, error))
        messages = await told(socket, "executing", node=None, prompt_id=failed.id)
        [raised] = [each["data"] for each in messages if each["type"] == "execution_error"]
        async with httpx2.AsyncClient(base_url=lab.url) as client:
            await client.post("/queue", content=json.dumps({"delete": [canceled.id]}))
        messages = await told(socket, "executing", node=None, prompt_id=canceled.id)
    assert "execution_interrupted" in kinds(messages)
    assert raised["exception_message"] == "it broke at x.py\na\nb"
    assert (raised["node_id"], raised["exception_type"]) == ("3", "node-error")
    assert raised.keys() >= {"traceback", "executed", "current_inputs", "current_outputs"}


async def test_a_key_comes_where_a_client_can_put_it_and_its_end_ends_the_socket() -> None:
    async with _serving(SocketLab(COMFYQ_AUTH="keys")) as lab:
        key = await lab.key()
        other, poor = await lab.key(tenant=OTHER), await lab.key(ALL - {Scope.READ})
        ticket = {"X-API-Key": key}
        async with httpx2.AsyncClient(base_url=lab.url, headers=ticket) as client:
            made = (await client.post("/ws-ticket", json={})).json()["ticket"]
        for query, user in (
            ("clientId=c", f"me:{key}@"),
            ("clientId=c", f"{key}:@"),
            (f"clientId=c&token={key}", ""),
            (f"clientId=c&ticket={made}", ""),
        ):
            async with lab.socket(query, user=user) as socket:
                assert kinds(await told(socket, "status")) == ["status"]
        for query, user, status in (
            ("clientId=c", "", 401),
            ("clientId=c&token=cq_x", "", 401),
            ("clientId=c", "me:cq_x@", 401),
            ("clientId=c", f"me:{poor}@", 403),
        ):
            with pytest.raises(websockets.InvalidStatus) as refused:
                async with lab.socket(query, user=user):
                    pass
            answer = refused.value.response
            assert answer.status_code == status
            assert json.loads(answer.body or b"{}")["error"]["message"]
        async with (
            lab.socket("clientId=c", user=f"me:{key}@") as own,
            lab.socket("clientId=c", user=f"me:{other}@") as others,
        ):
            for socket in (own, others):
                await told(socket, "status")
            await lab.send(client_id="c", key=key)
            assert kinds(await told(own, "status")) == ["status"]
            theirs = await lab.send(client_id="c", key=other)
            await lab.tell(await lab.start(theirs.id))
            messages = await told(others, "execution_start", prompt_id=theirs.id)
            assert kinds(messages) == ["status", "execution_start"], "nothing of the other tenant"
            await lab.keys.revoke(KeyId(key.split("_")[1]))
            async with asyncio.timeout(WAIT_S):
                await own.wait_closed()


async def test_what_is_no_socket_is_told_how_to_open_one(lab: SocketLab) -> None:
    async with httpx2.AsyncClient(base_url=lab.url) as client:
        answer = await client.get("/ws?clientId=c")
    assert (answer.status_code, "ws://" in answer.json()["error"]["message"]) == (400, True)
