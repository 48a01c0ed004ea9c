"""Task protection against a fake of ECS's agent on this machine."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from comfyq.adapters.ecs.protection import EcsProtection
from comfyq.aio.tasks import beside
from comfyq.edges.worker.stop_protection import StopProtection
from comfyq.ports.protection import ProtectionUnavailable

pytestmark = pytest.mark.anyio

TASK = "/api/4a1b2c3d"


class FakeAgent:
    """Remembers what it was asked; answers ``status`` and ``answer``."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.status = 200
        self.answer: dict[str, Any] = {"protection": {"ProtectionEnabled": True}}
        agent = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                agent.asked.append((self.path, self.headers["Content-Type"], body))
                self.send_response(agent.status)
                self.end_headers()
                self.wfile.write(json.dumps(agent.answer).encode())

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{TASK}"

    @property
    def states(self) -> list[bool]:
        return [body["ProtectionEnabled"] for _, _, body in self.asked]

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def agent() -> Iterator[FakeAgent]:
    agent = FakeAgent()
    yield agent
    agent.stop()


async def test_protection_is_asked_for_in_whole_minutes(agent: FakeAgent) -> None:
    await EcsProtection(agent_uri=agent.uri).protect(for_s=3_601)
    path, content_type, body = agent.asked[0]
    assert (path, content_type) == (f"{TASK}/task-protection/v1/state", "application/json")
    assert body == {"ProtectionEnabled": True, "ExpiresInMinutes": 61}


async def test_release_names_no_time(agent: FakeAgent) -> None:
    await EcsProtection(agent_uri=agent.uri).release()
    assert agent.asked[0][2] == {"ProtectionEnabled": False}


async def test_no_more_than_two_days_are_asked_for(agent: FakeAgent) -> None:
    await EcsProtection(agent_uri=agent.uri).protect(for_s=1e9)
    assert agent.asked[0][2]["ExpiresInMinutes"] == 2_880


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (500, {}),
        (400, {"error": {"Code": "AccessDenied"}}),
        (200, {"failure": {"Reason": "DEPLOYMENT_BLOCKED"}}),
        (200, {"error": {"Code": "InvalidParameter"}}),
    ],
)
async def test_a_refusal_is_told(agent: FakeAgent, status: int, answer: dict[str, Any]) -> None:
    agent.status, agent.answer = status, answer
    with pytest.raises(ProtectionUnavailable):
        await EcsProtection(agent_uri=agent.uri).protect(for_s=60)


async def test_an_agent_that_is_away_is_told(agent: FakeAgent) -> None:
    uri = agent.uri.replace(TASK, "")
    protection = EcsProtection(agent_uri=uri.replace(uri.rsplit(":", 1)[1], "1"))
    with pytest.raises(ProtectionUnavailable):
        await protection.release()


@asynccontextmanager
async def guarding(agent: FakeAgent, jobs: set[str]) -> Any:
    guard = StopProtection(
        EcsProtection(agent_uri=agent.uri), busy=lambda: bool(jobs), look_s=0.005
    )
    async with beside(guard.run()):
        yield


async def until(agent: FakeAgent, states: list[bool]) -> None:
    async with asyncio.timeout(10):
        while agent.states != states:  # noqa: ASYNC110 - a fake has no event to wait for
            await asyncio.sleep(0.005)


async def test_a_worker_is_protected_from_its_first_job_to_its_last(agent: FakeAgent) -> None:
    jobs: set[str] = set()
    async with guarding(agent, jobs):
        jobs.add("a")
        await until(agent, [True])
        jobs.add("b")
        jobs.discard("a")
        assert agent.states == [True]
        jobs.discard("b")
        await until(agent, [True, False])
        jobs.add("c")
        await until(agent, [True, False, True])


async def test_an_idle_worker_asks_for_nothing(agent: FakeAgent) -> None:
    looks = 0

    def busy() -> bool:
        nonlocal looks
        looks += 1
        return False

    guard = StopProtection(EcsProtection(agent_uri=agent.uri), busy=busy, look_s=0.001)
    async with beside(guard.run()), asyncio.timeout(10):
        while looks < 20:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert agent.asked == []


async def test_a_refused_protection_is_asked_for_again(
    agent: FakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfyq.edges.worker.stop_protection.RETRY_S", 0.005)
    agent.status = 500
    async with guarding(agent, {"a"}):
        async with asyncio.timeout(10):
            while len(agent.asked) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        agent.status = 200
        before = len(agent.asked)
        async with asyncio.timeout(10):
            while len(agent.asked) == before:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
