"""The time of a request grows no faster than its size, on every route and for every shape.

Routes, parameters and bodies are read from the routers, so a new route is tried as well. Each case
is sent in doubled sizes until it costs enough to be measured, or the largest size is reached.
"""

import asyncio
import gc
import json
import time
from collections.abc import Awaitable, Callable
from functools import partial
from math import sqrt
from pathlib import Path

import pytest
from starlette.types import Message, Scope

from comfyq.edges.websocket.handler import WebSocketHandler
from comfyq.testing.memory.notifier import MemoryNotifier
from tests.api_lab import ApiLab
from tests.catalogue_lab import info_with, join
from tests.integration.effort_cases import BODIES, CASES, JSON, Case, Sent, graph_of, in_body

pytestmark = pytest.mark.anyio

FIRST_CHARS = 30_000
LAST_CHARS = 1_000_000
FRAME_CHARS = 250_000  # more than the gateway takes
FLOOR_S = 0.02  # of CPU; below it, noise is measured
GROWTH = 2.5  # for twice the size
READINGS = 40  # of a graph of the same size as JSON, which a request may cost
TRIES = 3

Measure = Callable[[int], Awaitable[float]]  # the CPU time of a request of so many characters


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> ApiLab:
    """The API before a worker with two thousand LoRAs, whose clock stands still."""
    lab = ApiLab(COMFYQ_DATA_DIR=tmp_path_factory.mktemp("data"))
    folder: Path = tmp_path_factory.mktemp("catalogue")
    loras = [f"folder/lora_{n:04d}.safetensors" for n in range(2_000)]
    asyncio.run(join(lab, folder, info_with("LoraLoader", "lora_name", loras)))
    return lab


async def cpu_of(lab: ApiLab, case: Case, chars: int) -> float:
    return await cpu_s(lab, case(chars))


async def cpu_s(lab: ApiLab, sent: Sent) -> float:
    """Send a request through the application; return the CPU time that it took."""
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": sent.method,
        "path": sent.path,
        "raw_path": sent.path.encode(),
        "query_string": sent.query,
        "root_path": "",
        "scheme": "http",
        "headers": [(b"host", b"lab:8000"), *sent.headers],
        "server": ("lab", 8000),
        "client": ("127.0.0.1", 1),
        "state": {},
    }
    statuses: list[int] = []
    pieces = iter([sent.body[at : at + 65_536] for at in range(0, len(sent.body), 65_536)])

    async def receive() -> Message:
        piece = next(pieces, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    gc.disable()  # a collection reads what the tests have made, and comes at any time
    began_s = time.process_time()
    await lab.app(scope, receive, send)
    took_s = time.process_time() - began_s
    gc.enable()
    assert statuses[0] < 500, f"{sent.method} {sent.path[:60]}: {statuses}"
    return took_s


async def growth(took: Measure, *, last: int = LAST_CHARS) -> tuple[float, int]:
    """Double the size until it costs enough; return by how much a doubling grew.

    Two doublings are compared where they can be, because memory is bought in steps; else the last.
    """
    size, costs = FIRST_CHARS, [await took(FIRST_CHARS)]
    while size * 2 <= last:
        size *= 2
        costs.append(await took(size))
        if len(costs) > 2 and costs[-3] >= FLOOR_S:
            return sqrt(costs[-1] / costs[-3]), size
        if costs[-1] >= 20 * FLOOR_S:
            return costs[-1] / max(costs[-2], FLOOR_S), size
    return 0, size


async def least_growth(took: Measure, *, last: int = LAST_CHARS) -> tuple[float, int]:
    """Return the growth of the first try that is right, or of the last."""
    grown = await growth(took, last=last)
    for _ in range(TRIES - 1):
        if grown[0] <= GROWTH:
            break
        grown = await growth(took, last=last)
    return grown


@pytest.mark.verify
@pytest.mark.parametrize("route", list(CASES))
async def test_twice_the_request_takes_little_more_than_twice_the_time(
    lab: ApiLab, route: str
) -> None:
    grown = {
        name: await least_growth(partial(cpu_of, lab, case)) for name, case in CASES[route].items()
    }
    assert {name: each for name, each in grown.items() if each[0] > GROWTH} == {}


def reading_s(chars: int) -> float:
    """Return the CPU time of reading a graph of so many characters as JSON, the least of some."""
    text = json.dumps(graph_of(chars // 60))

    def took_s() -> float:
        began_s = time.process_time()
        json.loads(text)
        return time.process_time() - began_s

    return min(took_s() for _ in range(TRIES)) * chars / len(text)


@pytest.mark.verify
@pytest.mark.parametrize("shape", list(BODIES))
async def test_a_large_body_costs_little_more_than_to_read_it(lab: ApiLab, shape: str) -> None:
    """Else a small one that costs much passes, as long as a large one costs no more a byte."""
    case = partial(in_body, "POST", "/generate", JSON, BODIES[shape])
    most_s = READINGS * reading_s(LAST_CHARS)
    costs = [await cpu_of(lab, case, LAST_CHARS)]
    while costs[-1] > most_s and len(costs) < TRIES:
        costs.append(await cpu_of(lab, case, LAST_CHARS))
    assert min(costs) <= most_s


FRAMES: dict[str, Callable[[int], str]] = {
    "text": lambda n: "x" * n,
    "deep": lambda n: '{"action":' + "[" * n,
    "id": lambda n: json.dumps({"action": "subscribe", "job_id": "0" * n}),
    "names": lambda n: json.dumps({f"n{i}": i for i in range(n // 12)}),
    "digits": lambda n: '{"action":"subscribe","job_id":' + "9" * n + "}",
}


@pytest.mark.parametrize("shape", list(FRAMES))
@pytest.mark.parametrize("route", ["subscribe", "$default", "$connect"])
async def test_so_it_is_with_frames(lab: ApiLab, shape: str, route: str) -> None:
    handler = WebSocketHandler(
        subscriptions=lab.services.subscriptions,
        notifier=MemoryNotifier(),
        authenticator=lab.services.authenticator,
    )

    async def took_s(size: int) -> float:
        text = FRAMES[shape](size)
        context = {"routeKey": route, "connectionId": "c", "domainName": "h", "stage": "s"}
        event = {
            "requestContext": context,
            "body": text,
            "headers": {"x": text},
            "queryStringParameters": {"job_id": text},
        }
        began_s = time.process_time()
        await handler.handle(event)
        return time.process_time() - began_s

    grown = await least_growth(took_s, last=FRAME_CHARS)
    assert grown[0] <= GROWTH
