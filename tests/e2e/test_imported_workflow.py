"""A person drops an exported graph, imports it, and has all that a shipped workflow has."""

import json
import urllib.request
from pathlib import Path
from typing import Any

from PIL import Image

from tests.e2e.test_cli import Cli
from tests.processes import Processes

EXPORT = Path(__file__).parents[1] / "data" / "graphs" / "sdxl-export.json"
SMALL = ("--width", 64, "--height", 64, "--steps", 2)


def test_endpoint_flags_and_docs_without_code(processes: Processes, tmp_path: Path) -> None:
    folder = tmp_path / "workflows"
    author = Cli(tmp_path, "http://127.0.0.1:9")  # no server is needed
    comfyui = processes.simulator().url
    for command in (
        ("import", EXPORT, "--name", "storm", "--into", folder, "--comfyui", comfyui),
        ("check", folder, "--comfyui", comfyui),
    ):
        printed = author.run("workflows", *command)
        assert printed.returncode == 0, printed.stderr
        assert "ok" in printed.stdout

    up = processes.up(workers=1, env={"COMFYQ_WORKFLOWS_DIR": str(folder)})
    cli = Cli(tmp_path, up.url)
    flags = cli.run("submit", "storm", "--help")
    assert flags.returncode == 0, flags.stderr
    for flag in ("--prompt", "--width", "--steps", "--seed", "--lora", "--negative-prompt"):
        assert flag in flags.stdout
    *_, ended = cli.json("submit", "storm", "a fox", *SMALL, "--seed", 7, "--out", "here")
    assert (ended["status"], ended["workflow"], ended["seed"]) == ("completed", "storm", 7)
    with Image.open(tmp_path / ended["files"][0]) as picture:
        assert picture.size == (64, 64)
    assert cli.run("submit", "storm", "a fox", "--width", 65).returncode == 2

    paths = ask(f"{up.url}/openapi.json")["paths"]
    form = paths["/workflows/storm/generate"]["post"]
    assert form["requestBody"]["content"]["application/json"]["example"]["seed"] == 42
    body = {"prompt": "an owl", "width": 64, "height": 64, "steps": 2}
    job = ask(f"{up.url}/workflows/storm/generate", body)
    assert cli.json("watch", job["id"])[-1]["status"] == "completed"


def ask(url: str, body: Any = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        printed: dict[str, Any] = json.load(answer)
        return printed
