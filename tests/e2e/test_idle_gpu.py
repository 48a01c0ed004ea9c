"""A real ComfyUI that is warm before the first job, and is freed when nothing uses it."""

import json
import os
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from comfyq.domain.job import JobId
from comfyq.services.worker.prompts import prompt_id
from tests.e2e.faults.client import until
from tests.e2e.test_restart import submit
from tests.e2e.test_restart import until as until_it_is
from tests.paths import WORKFLOWS
from tests.processes import Processes

URL = os.environ.get("COMFYQ_TEST_COMFYUI_URL", "")  # noqa: TID251 - a setting of the tests
pytestmark = [
    pytest.mark.comfyui,
    pytest.mark.skipif(not URL, reason="COMFYQ_TEST_COMFYUI_URL names no ComfyUI; `make comfyui`"),
]


def history(path: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{URL}/history{path}") as answer:
        return dict(json.load(answer))


def cached(job_id: str) -> list[str]:
    """Return the nodes that ComfyUI did not run for a job, because it had their results."""
    entry = history(f"/{prompt_id(JobId(job_id), 1)}").popitem()[1]
    told = dict(entry["status"]["messages"])
    return list(told["execution_cached"]["nodes"])


def test_it_is_warm_before_the_first_job_and_freed_after_the_last(
    processes: Processes, tmp_path: Path
) -> None:
    folder = tmp_path / "workflows/flux-dev"
    shutil.copytree(WORKFLOWS / "flux-dev", folder)
    manifest = folder / "manifest.toml"
    manifest.write_text("warm = true\n" + manifest.read_text())
    before = set(history("?max_items=1000"))
    env = {"COMFYQ_WORKFLOWS_DIR": str(folder.parent), "COMFYQ_UNLOAD_IDLE_S": "1.5"}
    up = processes.up(comfyui=[URL], env=env)
    until(lambda: "warmed" in up.log, "it is warm")
    new = {key: item for key, item in history("?max_items=1000").items() if key not in before}
    [entry] = [item for item in new.values() if "comfyq" in item["prompt"][3]]
    assert entry["prompt"][3]["comfyq"] == {"warm": "flux-dev"}
    assert entry["status"]["status_str"] == "success"
    files = [image for output in entry["outputs"].values() for image in output["images"]]
    assert {image["type"] for image in files} == {"temp"}
    until(lambda: up.log.count("models_unloaded") == 1, "its models are unloaded")
    first = submit(up, steps=2, seed=7)
    until_it_is(up.url, first, "completed")
    second = submit(up, steps=2, seed=7)
    until_it_is(up.url, second, "completed")
    assert len(cached(second)) > len(cached(first)) == 0, "the loaders ran for the first one"
    until(lambda: up.log.count("models_unloaded") == 2, "they are unloaded again")
    third = submit(up, steps=2, seed=7)
    until_it_is(up.url, third, "completed")
    assert cached(third) == []
