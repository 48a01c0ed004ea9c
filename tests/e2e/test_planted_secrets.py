"""A whole run with planted secrets: none of them is in a log, an answer, a frame or a file.

A secret in the query of an input's URL has to reach the worker: the table has it, and nothing else.
"""

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3
import websocket

from tests.e2e.test_inputs import neighbour
from tests.processes import ROOT, Process, Processes, clean_env

__all__ = ["neighbour"]

WAIT_S = 60.0
SIZE = {"width": 64, "height": 64}
SMALL = {"workflow": "sd15-img2img", "prompt": "a fox", "steps": 2}


def planted() -> dict[str, str]:
    """Return secrets by name, new ones each time, so that nothing can have them by chance."""
    names = ("key", "wrong_key", "query", "user", "word", "ticket", "partner")
    ours = ("LINK_SECRET", "PARTNER_SECRET")
    others = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "MINIO_SECRET_KEY")
    drawn = {name: secrets.token_hex(32) for name in (*names, *ours, *others)}
    return drawn | {"AWS_ACCESS_KEY_ID": "AKIA" + secrets.token_hex(8).upper()}


@dataclass
class Run:
    """A server with secrets, a client of it, and what the client was told."""

    up: Process
    key: str
    told: list[tuple[str, str]] = field(default_factory=list)

    def ask(
        self, method: str, path: str, *, key: str | None = None, **request: Any
    ) -> tuple[int, Any]:
        """Send a request, and keep the whole answer."""
        headers = {"Authorization": f"Bearer {key or self.key}", **request.pop("headers", {})}
        url = path if path.startswith("http") else f"{self.up.url}{path}"
        answer = urllib3.request(method, url, headers=headers, redirect=False, **request)
        body = answer.data.decode("latin-1")
        self.told.append((f"{method} {path}", f"{dict(answer.headers)}\n{body}"))
        is_json = "json" in answer.headers.get("Content-Type", "")
        return answer.status, json.loads(answer.data) if is_json else answer.data

    def ended(self, job_id: str) -> Any:
        deadline = time.monotonic() + WAIT_S
        while (shown := self.ask("GET", f"/generate/{job_id}")[1])["status"] in (
            "queued",
            "running",
        ):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return shown

    def follow(self, query: str) -> None:
        """Follow a job to its end, and keep the frames."""
        url = self.up.url.replace("http", "ws", 1)
        opened = websocket.create_connection(f"{url}/ws/progress/{query}", timeout=WAIT_S)
        frames: list[str] = []
        while not frames or json.loads(frames[-1]).get("status") in ("queued", "running"):
            frames.append(str(opened.recv()))
        self.told += [("frame", frame) for frame in frames]
        opened.close()


def command(up: Path, *words: str, env: Mapping[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "comfyq.cli", *words],
        env=clean_env(up, env),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    return done.stdout + done.stderr


def test_no_secret_is_told_logged_or_stored(
    processes: Processes, tmp_path: Path, neighbour: tuple[str, list[str]]
) -> None:
    hidden = planted()
    data_dir = tmp_path / "data"
    env = {name: hidden[name] for name in hidden if name.startswith(("AWS_", "MINIO_"))}
    env |= {
        "COMFYQ_LINK_SECRET": hidden["LINK_SECRET"],
        "COMFYQ_PARTNER_SECRET": hidden["PARTNER_SECRET"],
        "COMFYQ_INPUT_ALLOW": "127.0.0.0/8",
        "COMFYQ_DATA_DIR": str(data_dir),
        "COMFYQ_OUTPUTS_DIR": str(tmp_path / "outputs"),
        "COMFYQ_LOG_LEVEL": "debug",
    }
    scopes = ("submit", "graph", "wait", "read", "cancel", "admin", "operator")
    made = command(
        tmp_path, "keys", "create", "a", *(f"--scope={each}" for each in scopes), env=env
    )
    key = made.splitlines()[0]
    hidden["key"] = key.rsplit("_", 1)[1]
    up = processes.up(data_dir=data_dir, options=("--auth", "keys"), env=env)
    run = Run(up, key)
    hidden["ticket"] = work(run, hidden, neighbour[0])
    run.told.append(("doctor", command(tmp_path, "doctor", env=env)))
    listed = command(tmp_path, "keys", "list", "--json", env=env)
    run.told.append(("keys list", listed))
    assert any(hidden["query"] in path for path in neighbour[1]), "the worker was given the URL"
    assert up.stop() == 0
    assert leaks(run, hidden, tmp_path) == []


def work(run: Run, hidden: Mapping[str, str], picture: str) -> str:
    """Do everything that a client may with secrets in it; return a ticket that was used."""
    url = f"{picture}?X-Amz-Signature={hidden['query']}"
    _, sent = run.ask("POST", "/generate", json={**SMALL, "image": url, "reuse": True})
    _, issued = run.ask("POST", "/ws-ticket", json={"job_id": sent["id"]})
    run.told.pop()  # the one answer that has to have it
    run.follow(f"{sent['id']}?ticket={issued['ticket']}")
    done = run.ended(sent["id"])
    assert done["status"] == "completed", done
    for page in ("", "/story", "/metadata", "/outputs"):
        assert run.ask("GET", f"/generate/{sent['id']}{page}")[0] == 200
    run.ask("GET", done["outputs"][0]["url"], headers={"Authorization": ""})
    away = f"http://127.0.0.1:9/{'a' * 8}.png?token={hidden['query']}"
    _, lost = run.ask("POST", "/generate", json={**SMALL, "image": away})
    assert run.ended(lost["id"])["status"] == "failed"
    run.ask("GET", f"/generate/{lost['id']}/story")
    run.ask("POST", f"/generate/{lost['id']}/retry")
    owned = f"http://{hidden['user']}:{hidden['word']}@127.0.0.1/a.png"
    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": owned}}}
    named = {"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": url}}}
    refused = [
        run.ask("POST", "/generate", json={**SMALL, "image": owned}),
        run.ask("POST", "/generate", json={"graph": graph}),
        run.ask("POST", "/generate/batch", json={"requests": [{**SMALL, "image": owned}]}),
        run.ask("POST", "/generate", json={**SMALL, "image": url, "sampler": url, "cfg": url}),
        run.ask("POST", "/generate?dry_run=true", json={**SMALL, "image": url, "nope": url}),
    ]
    assert {status for status, _ in refused} == {422}
    status, lost = run.ask("POST", "/generate", json={"graph": named})
    if status == 202:  # nothing was known of the worker's ComfyUI yet, which refuses it itself
        assert run.ended(lost["id"])["status"] == "failed"
        run.ask("GET", f"/generate/{lost['id']}/story")
    call_partner(run, hidden["partner"])
    wrong = f"{run.key.rsplit('_', 1)[0]}_{hidden['wrong_key']}"
    assert run.ask("GET", "/generate", key=wrong)[0] == 401
    assert run.ask("GET", f"/generate?api_key={hidden['wrong_key']}")[0] == 422
    run.told.pop()  # which repeats what was asked
    for path in ("/generate", "/generate/batch", "/dead", "/workers", "/keys", "/health"):
        assert run.ask("GET", path)[0] == 200
    return str(issued["ticket"])


def call_partner(run: Run, key: str) -> None:
    """Send a job with a key of partner nodes, which its worker has to open, and a bad one."""
    graph = {
        "3": {"class_type": "EmptyImage", "inputs": {**SIZE, "batch_size": 1, "color": 0}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "a"}},
    }
    sent = {"workflow": graph, "extra_data": {"api_key_comfy_org": key}}
    status, job = run.ask("POST", "/api/v2/jobs", json=sent)
    assert status == 201, job
    ended = run.ended(job["id"])
    assert ended["status"] == "completed", (ended["error_code"], ended["error"])
    for path in (f"/api/v2/jobs/{job['id']}/workflow", f"/generate/{job['id']}/story"):
        assert run.ask("GET", path)[0] == 200
    for wrong in ({"api_key_comfy_org": [key]}, {"api_key_comfy_org": f" {key}"}):
        assert run.ask("POST", "/api/v2/jobs", json={**sent, "extra_data": wrong})[0] == 422


def leaks(run: Run, hidden: Mapping[str, str], folder: Path) -> list[str]:
    """Return where which secret was found."""
    found = [
        f"{name} in {place}"
        for place, text in [*run.told, ("log", run.up.log)]
        for name, secret in hidden.items()
        if secret in text
    ]
    for file in filter(Path.is_file, folder.rglob("*")):
        content = file.read_bytes()
        for name, secret in hidden.items():
            is_work = name == "query" and file.name.startswith("comfyq.db")
            if secret.encode() in content and not is_work:
                found.append(f"{name} in {file.relative_to(folder)}")
    return found
