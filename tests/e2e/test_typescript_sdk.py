"""The Comfy API v2 by its official TypeScript SDK, unchanged but for COMFY_BASE_URL."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_comfy_sdk import PNG, Server, graph, picture
from tests.e2e.test_comfy_sdk import server as server
from tests.paths import ROOT
from tests.processes import clean_env

PACKAGES = ROOT / ".typescript" / "node_modules"
CLIENT = ROOT / "infra" / "typescript_sdk" / "client.mjs"
TIMEOUT_S = 100
SLOW = ("lambda", "lambda on the emulator")  # `make verify` has them
SERVERS = ("keys", *(pytest.param(each, marks=pytest.mark.verify) for each in SLOW))


@pytest.mark.parametrize("server", SERVERS, indirect=True)
def test_its_client_moves_by_one_variable(server: Server, tmp_path: Path) -> None:
    if not PACKAGES.exists() or shutil.which("node") is None:
        pytest.skip("the TypeScript SDK is not installed: run make .typescript/.made")
    told = told_by_client(server, tmp_path)
    check_run(told["ran"], server)
    check_events(told["followed"], server)
    check_canceled(told["canceled"], server)
    check_assets(told["assets"])
    check_errors(told["errors"], server)
    assert (tmp_path / "made.png").read_bytes().startswith(PNG)


def told_by_client(server: Server, folder: Path) -> Any:
    (folder / "graph.json").write_text(json.dumps(graph().json))
    (folder / "photo.png").write_bytes(picture())
    (folder / "node_modules").symlink_to(PACKAGES)  # modules are looked for beside the script
    script = shutil.copy(CLIENT, folder)
    env = {"COMFY_BASE_URL": server.url, "COMFY_API_KEY": server.key or ""}
    done = subprocess.run(
        ["node", script, str(folder)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env=clean_env(folder, env),
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    return json.loads(done.stdout)


def check_run(ran: Any, server: Server) -> None:
    assert (ran["status"], ran["found"], ran["outputs"]) == ("succeeded", "succeeded", 1)
    assert ran["ofNode"] == [ran["output"]]
    assert (ran["type"], ran["contentType"], ran["jobId"]) == ("image", "image/png", ran["id"])
    assert (ran["isWhole"], ran["isSameFile"], ran["range"]) == (True, True, "PNG")
    route = f"{server.url}/api/v2/assets/{ran['output']}/content"
    assert (ran["link"] == route) is not server.links
    assert (ran["format"], ran["isSameGraph"]) == ("api", True)


def check_events(told: Any, server: Server) -> None:
    assert told["ended"] == "succeeded"
    if not server.streams:
        assert told["statuses"] == [], "the SDK is told to poll"
        return
    assert "running" in told["statuses"]
    assert told["statuses"][-1] == "succeeded"
    assert told["progress"] == sorted(told["progress"])
    assert told["progress"][-1] == 1
    assert told["outputs"] == told["made"]
    assert len(told["made"]) == 1


def check_canceled(told: Any, server: Server) -> None:
    assert bool(told["previews"]) == server.streams
    assert set(told["previews"]) <= {"image/jpeg"}
    assert told["last"] == "canceled"
    assert told["result"]["raised"] == "JobFailed"


def check_assets(told: Any) -> None:
    assert (told["created"], told["createdAgain"]) == (True, False)
    assert told["id"] == told["again"] == told["known"]
    assert told["hash"] == told["knownHash"]
    assert told["isPng"]
    assert told["inUse"] == {"raised": "ComfyError", "code": "asset_in_use", "status": 409}
    assert told["dangling"] == {"raised": "MissingAsset", "code": "missing_asset", "status": 422}


def check_errors(told: Any, server: Server) -> None:
    assert {name: tuple(each.values()) for name, each in told.items() if name != "stranger"} == {
        "invalid": ("InvalidWorkflow", "invalid_workflow", 422),
        "reused": ("IdempotencyKeyReuse", "idempotency_key_reuse", 422),
        "editors": ("WorkflowFormatUi", "workflow_format_ui", 422),
        "job": ("NotFound", "not_found", 404),
        "asset": ("NotFound", "not_found", 404),
    }
    if server.key is not None:
        assert tuple(told["stranger"].values()) == ("Unauthorized", "unauthorized", 401)
