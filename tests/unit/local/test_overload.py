"""More requests than a server can carry."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from comfyq.local.application import local_app
from comfyq.local.limits.overload import OverloadGuard
from comfyq.ports.table import Write
from tests.api_lab import ApiLab
from tests.scripted_engine import until

pytestmark = pytest.mark.anyio

MOST = 5
FOX = {"prompt": "a fox"}


class SlowStore:
    """A table whose writes wait until they may go on."""

    def __init__(self, lab: ApiLab, monkeypatch: pytest.MonkeyPatch) -> None:
        self.may_write = asyncio.Event()
        self.waiting = 0
        self._write = lab.table.write
        monkeypatch.setattr(lab.table, "write", self.write)

    async def write(self, *writes: Write, synced: bool = True) -> None:
        self.waiting += 1
        try:
            await self.may_write.wait()
        finally:
            self.waiting -= 1
        await self._write(*writes, synced=synced)


def client_of(app: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:8000")


def server(lab: ApiLab) -> httpx2.AsyncClient:
    return client_of(local_app(lab.services))


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab(COMFYQ_REQUESTS_AT_ONCE=MOST)


async def test_ten_times_as_many_are_refused_at_once_and_the_others_are_served(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SlowStore(lab, monkeypatch)
    async with server(lab) as client, asyncio.timeout(30):
        sent = [asyncio.create_task(client.post("/generate", json=FOX)) for _ in range(10 * MOST)]
        await until(lambda: sum(each.done() for each in sent) == 9 * MOST)
        refused = [each.result() for each in sent if each.done()]
        assert {answer.status_code for answer in refused} == {503}
        problem = refused[0].json()
        assert (problem["code"], refused[0].headers["retry-after"]) == ("overloaded", "2")
        assert "COMFYQ_REQUESTS_AT_ONCE" in problem["detail"]
        assert (await client.get("/health")).status_code == 200
        assert (await client.get("/generate")).status_code == 503
        store.may_write.set()
        answers = await asyncio.gather(*sent)
        assert [answer.status_code for answer in answers].count(202) == MOST
        again = [await client.post("/generate", json=FOX) for _ in range(2 * MOST)]
        assert {answer.status_code for answer in again} == {202}


async def test_clients_that_go_away_leave_their_places(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SlowStore(lab, monkeypatch)
    async with server(lab) as client, asyncio.timeout(30):
        for _ in range(3):
            sent = [asyncio.create_task(client.post("/generate", json=FOX)) for _ in range(MOST)]
            await until(lambda: store.waiting > 0)
            for each in sent:
                each.cancel()
            await asyncio.gather(*sent, return_exceptions=True)
        store.may_write.set()
        assert (await client.post("/generate", json=FOX)).status_code == 202


async def test_a_defect_leaves_its_place(lab: ApiLab) -> None:
    transport = httpx2.ASGITransport(local_app(lab.services), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for _ in range(2 * MOST):
            lab.table.faults_before.append(ZeroDivisionError())
            assert (await client.post("/generate", json=FOX)).status_code == 500
        assert (await client.post("/generate", json=FOX)).status_code == 202


async def test_what_waits_for_its_client_keeps_nobody_out() -> None:
    app, begun = FastAPI(), asyncio.Event()
    may_end = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"a"
        begun.set()
        await may_end.wait()
        yield b"b"

    @app.get("/down")
    async def down() -> StreamingResponse:
        return StreamingResponse(slowly())

    @app.post("/up")
    async def up(request: Request) -> int:
        return len(await request.body())

    async with client_of(OverloadGuard(app, most=1)) as client, asyncio.timeout(30):
        for held in (client.get("/down"), client.post("/up", content=slowly())):
            begun.clear()
            may_end.clear()
            task = asyncio.create_task(held)
            await begun.wait()
            assert (await client.post("/up", content=b"abc")).json() == 3
            may_end.set()
            assert (await task).status_code == 200
