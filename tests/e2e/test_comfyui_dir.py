"""A worker that was told where ComfyUI has its folders: it leaves nothing there."""

import io
import os
import shutil
from base64 import b64encode
from pathlib import Path

import pytest
import requests
from PIL import Image

from tests.e2e.faults.client import until
from tests.e2e.test_restart import job, submit
from tests.processes import Process, Processes

PREVIEW = {
    "1": {
        "class_type": "EmptyImage",
        "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 7},
    },
    "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
}
BALLAST_BYTES = 2 * 10**9


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def image() -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(buffer, "PNG")
    return f"data:image/png;base64,{b64encode(buffer.getvalue()).decode()}"


def end(up: Process, job_id: str) -> None:
    until(lambda: job(up.url, job_id)["status"] == "completed", "it completes")


@pytest.mark.verify
def test_nothing_is_left_in_comfyuis_folders(processes: Processes) -> None:
    simulator, up = processes.simulator(), processes.up(workers=0)
    mine = simulator.data_dir / "output" / "mine.png"
    mine.write_bytes(b"pixels")
    options = ("--comfyui-dir", simulator.data_dir)
    processes.worker(comfyui=[simulator.url], up=up, options=options)
    same = {"workflow": "sd15-img2img", "image": image(), "steps": 2}
    jobs = [submit(up, **same, seed=seed) for seed in (1, 1, 2)]
    for each in jobs:
        end(up, each)
        download = job(up.url, each)["image_url"]
        assert requests.get(download, timeout=10).headers["content-type"] == "image/png"
    until(lambda: files(simulator.data_dir) == [mine], "what was stored is removed")


@pytest.mark.verify
def test_a_neighbour_whose_run_is_cached_still_finds_its_file(processes: Processes) -> None:
    """Both stand in ComfyUI's queue, and the second is told the name of the first one's preview."""
    simulator, up = processes.simulator(), processes.up(workers=0)
    jobs = [submit_preview(up) for _ in range(2)]
    processes.worker(comfyui=[simulator.url], up=up, options=("--comfyui-dir", simulator.data_dir))
    for each in jobs:
        end(up, each)
    assert [job(up.url, each)["attempt"] for each in jobs] == [1, 1]
    [preview] = files(simulator.data_dir / "temp")
    preview.unlink()
    again = submit_preview(up)
    end(up, again)
    assert job(up.url, again)["attempt"] == 2, "what is gone nevertheless is rendered again"


@pytest.mark.verify
def test_nothing_is_claimed_while_the_disk_is_full(processes: Processes, tmp_path: Path) -> None:
    """Full is what has less left than is asked for; others may fill or free some meanwhile."""
    ballast = tmp_path / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, BALLAST_BYTES)
    least_bytes = shutil.disk_usage(tmp_path).free + BALLAST_BYTES // 2
    simulator, up = processes.simulator(), processes.up(workers=0)
    env = {"COMFYQ_BEAT_S": "0.5", "COMFYQ_MIN_FREE_BYTES": str(least_bytes)}
    worker = processes.worker(comfyui=[simulator.url], up=up, env=env)
    waiting = submit(up)
    until(lambda: "free some" in str(health(up)["reason"]), "it says why")
    assert health(up)["status"] == "degraded"
    assert health(up)["comfyui_available"]
    assert job(up.url, waiting)["queue_position"] == 1
    ballast.unlink()
    end(up, waiting)
    assert "disk_low" in worker.log
    assert "disk_has_room" in worker.log
    until(lambda: health(up)["status"] == "healthy", "it says that it goes on")


def submit_preview(up: Process) -> str:
    answer = requests.post(f"{up.url}/generate", json={"graph": PREVIEW}, timeout=10)
    job_id: str = answer.json()["id"]
    return job_id


def health(up: Process) -> dict[str, object]:
    answer: dict[str, object] = requests.get(f"{up.url}/health", timeout=10).json()
    return answer
