"""A store that refuses signatures because of the time, in its own words, to the real boto3."""

import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import anyio
import pytest

from comfyq.bootstrap.backends import open_ports
from comfyq.bootstrap.ports import Ports
from comfyq.cli.errors import ExitCode
from comfyq.config import AwsEndpoints, AwsSettings, Backend, Settings
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.errors import ClockSkewed, TableUnavailable
from comfyq.domain.job import JobId
from comfyui_simulator import Simulator, SimulatorSettings
from tests.processes import clean_env

pytestmark = pytest.mark.anyio

BEHIND_S = 600
DYNAMODB = """{"__type": "com.amazon.coral.service#InvalidSignatureException", "message":
 "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z"}"""
SQS = """{"__type": "com.amazon.coral.service#InvalidSignatureException", "message":
 "Signature not yet current: 20260101T001000Z is still later than 20260101T000500Z"}"""
S3 = """<?xml version="1.0"?><Error><Code>RequestTimeTooSkewed</Code><Message>The difference between
 the request time and the current time is too large.</Message></Error>"""
WRONG_KEY = """{"__type": "com.amazon.coral.service#InvalidSignatureException", "message":
 "The request signature we calculated does not match the signature you provided."}"""


class Refusing(BaseHTTPRequestHandler):
    """Its clock is ten minutes ahead, so everybody else's is behind."""

    body: str
    asked: int

    def _refuse(self) -> None:
        type(self).asked += 1
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = self.body.encode()
        status = 403 if content.startswith(b"<") else 400
        self.send_response_only(status)
        own = datetime.now(UTC) + timedelta(seconds=BEHIND_S)  # noqa: TID251 - a server's clock
        self.send_header("Date", format_datetime(own, usegmt=True))
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = _refuse

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


Store = Callable[[str], tuple[str, type[Refusing]]]


@pytest.fixture
def store() -> Iterator[Store]:
    """Starts a store that answers everything by ``body``: (its URL, what it was asked)."""
    servers: list[tuple[ThreadingHTTPServer, Thread]] = []

    def start(body: str) -> tuple[str, type[Refusing]]:
        handler = type("Handler", (Refusing,), {"body": body, "asked": 0})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}", handler

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def ports_at(url: str, data_dir: Path) -> Ports:
    settings = Settings(
        backend=Backend.EMULATOR,
        data_dir=data_dir,
        endpoints=AwsEndpoints(url=url),
        aws=AwsSettings(queue_url=f"{url}/queue"),
    )
    return open_ports(settings)


async def ask_table(ports: Ports) -> None:
    await ports.table.get(("JOB#1", "META"))


async def ask_queue(ports: Ports) -> None:
    await ports.queue.send(JobId("1"), tenant=DEFAULT_TENANT)


async def ask_storage(ports: Ports) -> None:
    await ports.assets.put("a", Path(__file__), content_type="image/png")


@pytest.mark.parametrize(
    ("body", "ask"), [(DYNAMODB, ask_table), (SQS, ask_queue), (S3, ask_storage)]
)
async def test_each_service_says_it_in_its_own_words(
    body: str, ask: Callable[[Ports], Awaitable[None]], store: Store, tmp_path: Path
) -> None:
    url, handler = store(body)
    with pytest.raises(ClockSkewed, match=r"clock is (599|600|601) s behind AWS's.*NTP"):
        await ask(ports_at(url, tmp_path))
    assert handler.asked == 1, "the same wrong time was sent again"


async def test_a_wrong_key_is_no_wrong_clock(store: Store, tmp_path: Path) -> None:
    ports = ports_at(store(WRONG_KEY)[0], tmp_path)
    with pytest.raises(TableUnavailable, match="does not match"):
        await ports.table.get(("JOB#1", "META"))


@pytest.mark.parametrize(
    "module", ["comfyq.cli", pytest.param("functions.worker.main", marks=pytest.mark.verify)]
)
async def test_a_worker_says_so_in_one_line_and_exits(
    module: str, store: Store, tmp_path: Path
) -> None:
    url, handler = store(DYNAMODB)
    async with Simulator(SimulatorSettings()) as comfyui:
        env = {
            "COMFYQ_BACKEND": "emulator",
            "AWS_ENDPOINT_URL": url,
            "COMFYUI_URL": comfyui.url,
            "COMFYQ_QUEUE_URL": f"{url}/queue",
            "COMFYQ_DATA_DIR": str(tmp_path / "data"),
        }
        command = [sys.executable, "-m", module, *(["worker"] if module == "comfyq.cli" else [])]
        ended = await anyio.run_process(command, env=clean_env(tmp_path, env), check=False)
    output = ended.stderr.decode()
    assert ended.returncode == ExitCode.CLOCK_WRONG, output
    last = output.splitlines()[-1]
    assert f"{BEHIND_S} s behind" in last or f"{BEHIND_S - 1} s behind" in last, output
    assert "Traceback" not in output
    assert handler.asked < 10, "it went on asking"
