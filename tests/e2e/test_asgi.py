"""Four server processes over the same jobs: ``uvicorn comfyq.asgi:app --workers 4``."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
import websocket

from tests.e2e.test_restart import job, until
from tests.processes import Process, Processes, clean_env

SERVERS = 4
WAIT_S = 60.0


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Storage and a worker; its own API is not asked."""
    processes = Processes(tmp_path_factory.mktemp("up"))
    try:
        yield processes.up()
    finally:
        processes.close()


@pytest.fixture(scope="module")
def url(up: Process, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("uvicorn")
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", "comfyq.asgi:app", "--port", str(port)]
    with (home / "uvicorn.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--workers", str(SERVERS)],
            env=clean_env(home, up.exports),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_until_it_answers(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def test_every_process_knows_every_job(url: str) -> None:
    ids = [_submit(url, seed) for seed in range(8)]
    for job_id in ids:
        until(url, job_id, "completed")
        answers = [job(url, job_id)["status"] for _ in range(SERVERS * 2)]
        assert set(answers) == {"completed"}


def test_whichever_process_holds_the_socket_is_told(url: str) -> None:
    job_id = _submit(url, 1, steps=100)
    followers = [
        websocket.create_connection(f"{url.replace('http', 'ws')}/ws/progress/{job_id}", timeout=60)
        for _ in range(SERVERS * 2)
    ]
    for follower in followers:
        frame = {"status": "queued"}
        while frame["status"] not in ("completed", "failed"):
            frame = json.loads(follower.recv())
        assert frame["status"] == "completed"
        follower.close()


@pytest.mark.verify
def test_an_open_stream_keeps_no_process_from_stopping(
    up: Process, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home, port = tmp_path_factory.mktemp("one"), _free_port()
    url = f"http://127.0.0.1:{port}"
    with (home / "uvicorn.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "comfyq.asgi:app", "--port", str(port)],
            env=clean_env(home, up.exports),
            stdout=log,
            stderr=log,
        )
    try:
        _wait_until_it_answers(url)
        job_id = _submit(url, 1, steps=100)
        with urllib.request.urlopen(f"{url}/generate/{job_id}/events") as stream:
            assert stream.readline() == b"retry: 2000\n"
            server.send_signal(signal.SIGTERM)
            assert b'"status":"completed"' not in stream.read(), "it ends before its job"
            assert server.wait(30) in (0, -signal.SIGTERM)
        request = urllib.request.Request(f"{up.url}/generate/{job_id}", method="DELETE")
        urllib.request.urlopen(request).close()
    finally:
        server.kill()
        server.wait()


def _submit(url: str, seed: int, **more: int) -> str:
    body = json.dumps({"prompt": "a cat", "width": 64, "height": 64, "seed": seed, **more})
    request = urllib.request.Request(
        f"{url}/generate", data=body.encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        job_id: str = json.load(answer)["id"]
        return job_id


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_it_answers(url: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health"):
                return
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline, "uvicorn does not answer"
            time.sleep(0.05)
