"""Comfy's own command line, comfy-cli, against a server of ours.

``comfy deploy run`` speaks the Comfy API v2, but to servers alone that Comfy's cloud names: what it
does then is called without that.
"""

import io
import json
import subprocess
from pathlib import Path
from urllib.request import urlopen

import pytest
from PIL import Image

from tests.e2e.test_comfy_sdk import SCOPES, graph, picture
from tests.facade_lab import served
from tests.paths import ROOT
from tests.processes import clean_env

PROGRAMS = ROOT / ".comfy-cli" / "bin"
DATA_PLANE = ROOT / "infra" / "comfy_cli" / "data_plane.py"
CALL_S = 60
# Nothing is told to its makers, and no process of it goes on behind our backs.
QUIETLY = {"DO_NOT_TRACK": "1", "COMFY_NO_WATCH": "1"}

pytestmark = [
    pytest.mark.verify,
    pytest.mark.skipif(
        not PROGRAMS.exists(), reason="comfy-cli is not installed: run make .comfy-cli/.made"
    ),
]


def test_deploy_run_works_by_the_comfy_api_v2(tmp_path: Path) -> None:
    (tmp_path / "graph.json").write_text(json.dumps(graph(steps=30).json))
    (tmp_path / "photo.png").write_bytes(picture())
    with served(tmp_path, "", SCOPES) as (url, key):
        done = subprocess.run(
            [PROGRAMS / "python", DATA_PLANE, url, key, tmp_path],
            capture_output=True,
            text=True,
            timeout=CALL_S,
            env=clean_env(tmp_path, QUIETLY),
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert (told["uploaded"], told["same"]) == ([1, 0], True)
        assert told["status"] == "succeeded"
        assert {"status", "progress", "output"} <= set(told["events"])
        assert told["last"] == ["status", {"status": "succeeded", "queue_position": None}]
        assert [node for node, _ in told["outputs"]] == ["9", "21"]
        for _, link in told["outputs"]:
            with urlopen(link) as answer, Image.open(io.BytesIO(answer.read())) as made:
                made.load()
    codes = {name: told[name]["code"] for name in ("reused", "missing", "invalid")}
    assert codes == {
        "reused": "deploy_idempotency_reuse",
        "missing": "deploy_asset_missing",
        "invalid": "deploy_workflow_invalid",
    }
