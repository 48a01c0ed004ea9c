"""The Python client against real servers, some of which are killed and started again meanwhile."""

import doctest
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import aclosing, closing
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import anyio
import httpx2
import pytest

import comfyq.client
from comfyq.client import AsyncClient, Client, JobFailed, NotReached, Patience, Preview, TimedOut
from comfyq.domain.webhook.signature import secret_of, signed_headers
from tests.asgi_client import AsgiClient
from tests.e2e.test_inputs import png
from tests.processes import Process, Processes

WAIT_S = 60.0
SECRET = secret_of(bytes(32))
SMALL: dict[str, Any] = {"width": 64, "height": 64}
MODULES = [
    comfyq.client.__name__,
    *(each.name for each in walk_packages(comfyq.client.__path__, "comfyq.client.")),
]


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Restarted:
    """A server whose successor answers at the same URL."""

    def __init__(self, processes: Processes, data_dir: Path, *, step_s: float = 0.05) -> None:
        self._processes = processes
        self._data_dir = data_dir
        self._port = free_port()
        self._simulator = processes.simulator(options=["--step-s", str(step_s)])
        self.up = self._start()

    @property
    def url(self) -> str:
        return self.up.url

    def again(self) -> None:
        """Kill it, and start it again."""
        self.up.kill()
        self.up = self._start()

    def _start(self) -> Process:
        return self._processes.up(
            comfyui=[self._simulator.url], data_dir=self._data_dir, port=self._port
        )


@pytest.fixture
def restarted(processes: Processes, tmp_path: Path) -> Restarted:
    return Restarted(processes, tmp_path / "data")


@pytest.fixture
def client(restarted: Restarted) -> Iterator[Client]:
    with Client(restarted.url) as client:
        yield client


def test_every_example_of_the_docstrings_is_true(processes: Processes, tmp_path: Path) -> None:
    up = processes.up(data_dir=tmp_path / "data")
    tried = 0
    with Client(up.url) as client:
        given = {"client": client, "url": up.url, "folder": tmp_path / "files", "Client": Client}
        for name in MODULES:
            result = doctest.testmod(
                import_module(name),
                extraglobs=given,
                optionflags=doctest.IGNORE_EXCEPTION_DETAIL | doctest.ELLIPSIS,
            )
            assert result.failed == 0, name
            tried += result.attempted
    assert tried > 20


def test_waiting_goes_on_behind_the_servers_death(restarted: Restarted, client: Client) -> None:
    job = client.generate("flux-dev", prompt="a fox", steps=40, **SMALL)
    killing = threading.Thread(target=restarted.again)
    killing.start()
    assert job.wait(timeout_s=WAIT_S).status == "completed"
    killing.join()
    assert [image.content_type for image in job.images] == ["image/png"]


def test_events_go_on_behind_the_servers_death(restarted: Restarted, client: Client) -> None:
    job = client.generate("flux-dev", prompt="a fox", steps=30, **SMALL)
    killed = False
    seqs: list[tuple[int, float]] = []
    last = ""
    for event in job.events(timeout_s=WAIT_S):
        assert not isinstance(event, Preview)
        seqs.append((event.seq, event.progress))
        last = event.status
        if not killed and event.step > 1:
            restarted.again()
            killed = True
    assert killed
    assert last == "completed"
    assert seqs == sorted(seqs), "events go back"
    assert len(job.images) == 1, "the job is known with its last event"


class Cut(httpx2.HTTPTransport):
    """Kills the server when the beginning of the first file has arrived, and starts it again."""

    def __init__(self, restarted: Restarted) -> None:
        super().__init__()
        self._restarted = restarted
        self.ranges: list[str | None] = []  # that files were asked for by

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = super().handle_request(request)
        if "/outputs/" in request.url.path:
            self.ranges.append(request.headers.get("range"))
            if len(self.ranges) == 1:
                response.stream = self._beginning(response)
        return response

    def _beginning(self, response: httpx2.Response) -> httpx2.SyncByteStream:
        kill = self._restarted.again
        assert isinstance(response.stream, httpx2.SyncByteStream)
        whole: httpx2.SyncByteStream = response.stream

        class Beginning(httpx2.SyncByteStream):
            def __iter__(self) -> Iterator[bytes]:
                yield next(iter(whole))[:100]
                whole.close()
                kill()
                raise httpx2.ReadError("the server is gone")

        return Beginning()


def test_a_download_goes_on_behind_the_servers_death(restarted: Restarted, tmp_path: Path) -> None:
    transport = Cut(restarted)
    with (
        httpx2.Client(transport=transport) as http,
        Client(restarted.url, http=http) as client,
    ):
        job = client.generate("flux-dev", prompt="a fox", steps=1, **SMALL).wait(timeout_s=WAIT_S)
        [file] = job.download(tmp_path / "files", timeout_s=WAIT_S)
    assert transport.ranges == [None, "bytes=100-"]
    assert file.stat().st_size == job.outputs[0].size > 100
    assert list((tmp_path / "files").iterdir()) == [file], "no part is left"


def test_a_batch_goes_on_behind_the_servers_death(restarted: Restarted, client: Client) -> None:
    request = {"workflow": "flux-dev", "prompt": "a fox", "steps": 10, **SMALL}
    batch = client.generate_batch(
        [{**request, "seed": n} for n in range(6)] + [{**request, "steps": "many"}]
    )
    seen: list[int] = []
    for result in batch.results(timeout_s=WAIT_S):
        seen.append(result.index)
        assert (result.error is None) == (result.index != 6)
        if len(seen) == 2:
            restarted.again()
    assert sorted(seen) == list(range(7)), "each of them once"
    assert batch.wait(timeout_s=WAIT_S).counts.completed == 6
    assert {result.job.status for result in batch.items if result.job} == {"completed"}


def test_a_submission_is_sent_until_it_is_accepted_once(
    restarted: Restarted, client: Client
) -> None:
    restarted.up.kill()
    starting = threading.Timer(0.3, lambda: setattr(restarted, "up", restarted._start()))
    starting.start()
    job = client.generate("flux-dev", prompt="a fox", steps=1, timeout_s=WAIT_S, **SMALL)
    starting.join()
    assert job.wait(timeout_s=WAIT_S).succeeded
    assert [each.id for each in client.jobs()] == [job.id]


def test_who_is_away_for_long_is_given_up(processes: Processes, tmp_path: Path) -> None:
    up = processes.up(workers=0, data_dir=tmp_path / "data")
    with Client(up.url, patience=Patience(give_up_s=0.5)) as client:
        job = client.generate("flux-dev", prompt="a fox")
        with pytest.raises(TimedOut):
            job.wait(timeout_s=0.5)
        up.kill()
        with pytest.raises(NotReached):
            job.wait()
        with pytest.raises(NotReached):
            list(job.events())


def test_a_job_that_failed_is_an_exception_and_can_be_tried_again(client: Client) -> None:
    job = client.generate("flux-dev", prompt="a fox", steps=100, **SMALL)
    assert job.cancel().data.cancel_requested
    with pytest.raises(JobFailed) as failed:
        job.wait(timeout_s=WAIT_S)
    assert (failed.value.job_id, failed.value.status) == (job.id, "canceled")
    assert job.wait(check=False).status == "canceled"
    assert job.retry().data.retry_of == job.id
    assert job.story().parameters["steps"] == 100
    client.job(job.id).delete()


def test_files_of_this_machine_are_stored_with_the_request(client: Client, tmp_path: Path) -> None:
    made = client.generate("flux-dev", prompt="a fox", steps=1, **SMALL)
    [picture] = made.download(tmp_path, timeout_s=WAIT_S)
    job = client.generate("sd15-img2img", prompt="an owl", image=picture, steps=1)
    assert job.wait(timeout_s=WAIT_S).succeeded
    assert job.read(job.images[0]).startswith(b"\x89PNG")
    large = tmp_path / "large.png"
    large.write_bytes(picture.read_bytes() + bytes(5_000_000))
    assert client.upload(large).size == large.stat().st_size


@pytest.mark.anyio
async def test_event_loops_have_it_all_too(restarted: Restarted, tmp_path: Path) -> None:
    async with AsyncClient(restarted.url) as client:
        job = await client.generate("flux-dev", prompt="a fox", steps=20, **SMALL)
        kinds = set()
        async with aclosing(job.events(previews=True, timeout_s=WAIT_S)) as events:
            async for event in events:
                kinds.add(event.kind)
        assert {"status", "progress"} <= kinds
        assert len(await job.download(tmp_path / "files")) == 1
        batch = await client.generate_batch(
            request={"prompt": "a fox", "steps": 1, **SMALL}, product={"seed": [1, 2, 3]}
        )
        seen = [result.index async for result in batch.results(timeout_s=WAIT_S)]
        assert sorted(seen) == [0, 1, 2]
        left = await client.generate("flux-dev", prompt="a fox", steps=150, **SMALL)
        with anyio.move_on_after(0.2) as scope:
            await left.wait()
        assert scope.cancelled_caught
        await left.cancel()
        assert (await left.wait(check=False, timeout_s=WAIT_S)).status == "canceled"
        assert [each.id async for each in client.jobs(status="canceled")] == [left.id]


def test_the_programs_of_the_guide_run(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    up = processes.up(data_dir=tmp_path / "data")
    page = (Path(__file__).parents[2] / "docs/how-to/python.md").read_text()
    programs = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMFYQ_WEBHOOK_SECRET", SECRET)
    (tmp_path / "fox.png").write_bytes(png("red"))
    ran: dict[str, Any] = {}
    for program in programs:
        here = program.replace("http://localhost:8000", up.url).replace(', key="cq_…"', "")
        assert here != program or "verify_webhook" in program
        exec(compile("from comfyq.client import Client\n" + here, "python.md", "exec"), ran)  # noqa: S102
    assert len(list((tmp_path / "out").iterdir())) == 1 + 1 + 6 + 1
    hook = AsgiClient(ran["app"], base_url="http://receiver")
    body = b'{"type": "job.completed", "data": {"id": "a"}}'
    now = datetime.now(UTC)  # noqa: TID251 - the clock of the receiver
    headers = signed_headers("msg_1", body, [SECRET], now=now)
    assert hook.post("/hook", content=body, headers=headers).status_code == 204
    assert hook.post("/hook", content=body + b" ", headers=headers).status_code == 401
