"""The scripts under `infra/comfyui`, without a ComfyUI: a small HTTP server takes its place."""

import json
import math
import re
import shutil
import socket
import struct
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "infra" / "comfyui"
SCRIPTS = sorted(FOLDER.glob("*.sh"))
BASH = shutil.which("bash") or "/bin/bash"
DEADLINE_S = 60

SERVER = """\
import http.server, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/system_stats" else 404)
        self.end_headers()
        self.wfile.write(" ".join(sys.argv).encode())

address = sys.argv[sys.argv.index("--listen") + 1]
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer((address, port), Handler).serve_forever()
"""

Result = subprocess.CompletedProcess[str]


def script(name: str, *arguments: object) -> Result:
    command = [BASH, str(FOLDER / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def project_files() -> list[Path]:
    return [p for p in FOLDER.rglob("*") if p.is_file() and "__pycache__" not in p.parts]


@pytest.fixture
def prepared(tmp_path: Path) -> Iterator[Path]:
    """A folder as `prepare.sh` leaves it, but for what is in it."""
    (tmp_path / "ComfyUI").mkdir()
    (tmp_path / "ComfyUI" / "main.py").write_text(SERVER)
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / ".prepared").touch()
    yield tmp_path
    script("stop.sh", tmp_path)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_models(folder)
    return folder


def make_models(folder: Path) -> None:
    # -B: the check-out stays as it is, so prepare.sh sees no change either.
    command = [sys.executable, "-B", str(FOLDER / "tiny_models.py"), "--safetensors-only"]
    subprocess.run([*command, str(folder)], check=True, timeout=DEADLINE_S)


def read_header(path: Path) -> tuple[dict[str, Any], bytes]:
    """Split a safetensors file into its entries, without the metadata, and its data."""
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    entries: dict[str, Any] = json.loads(content[8 : 8 + length])
    del entries["__metadata__"]
    return entries, content[8 + length :]


def read_values(path: Path, tensor: str) -> tuple[float, ...]:
    entries, data = read_header(path)
    start, end = entries[tensor]["data_offsets"]
    return struct.unpack(f"<{(end - start) // 2}e", data[start:end])


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_script_parses_and_can_be_executed(path: Path) -> None:
    subprocess.run([BASH, "-n", path], check=True)
    assert path.stat().st_mode & 0o111


def test_there_are_scripts() -> None:
    assert {path.name for path in SCRIPTS} == {
        "prepare.sh",
        "run.sh",
        "start.sh",
        "stop.sh",
        "with.sh",
    }


def test_no_file_names_a_registry() -> None:
    for path in project_files():
        text = path.read_text()
        hosts = set(re.findall(r"https?://([^/:\s'\"]+)", text))
        assert hosts <= {"127.0.0.1"}, path
        assert not re.search(r"index-url|find-links|trusted-host", text), path


def test_every_package_is_pinned() -> None:
    lines = (FOLDER / "requirements.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9.]+", pin) for pin in pins)
    assert "torch==2.13.0" in pins
    assert not {"torchvision", "torchaudio"} & {pin.partition("==")[0] for pin in pins}


def test_models_are_whole_safetensors_files(models: Path) -> None:
    paths = sorted(models.rglob("*.safetensors"))
    assert len(paths) == 13
    for path in paths:
        entries, data = read_header(path)
        position = 0
        for entry in entries.values():
            start, end = entry["data_offsets"]
            assert start == position
            assert end - start == 2 * math.prod(entry["shape"])
            position = end
        assert position == len(data)
    assert {path.suffix for path in models.rglob("*") if path.is_file()} == {".safetensors"}


def test_models_are_the_same_each_time(models: Path, tmp_path: Path) -> None:
    make_models(tmp_path)
    for path in models.rglob("*.safetensors"):
        assert path.read_bytes() == (tmp_path / path.relative_to(models)).read_bytes()


def test_weights_have_the_deviation_that_keeps_variance(models: Path) -> None:
    path = models / "diffusion_models" / "flux1-dev.safetensors"
    values = read_values(path, "double_blocks.0.img_mlp.2.weight")
    inputs = 512
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / len(values)
    assert mean == pytest.approx(0, abs=0.001)
    assert variance == pytest.approx(1 / inputs, rel=0.05)


def test_only_flux_dev_takes_guidance(models: Path) -> None:
    folder = models / "diffusion_models"
    dev, _ = read_header(folder / "flux1-dev.safetensors")
    schnell, _ = read_header(folder / "flux1-schnell.safetensors")
    assert {name for name in dev if name not in schnell} == {
        f"guidance_in.{layer}.{kind}"
        for layer in ("in_layer", "out_layer")
        for kind in ("weight", "bias")
    }
    assert schnell.keys() <= dev.keys()


def test_sizes_are_those_that_the_custom_node_declares(models: Path) -> None:
    sizes = json.loads((FOLDER / "custom_nodes" / "comfyq_lab" / "sizes.json").read_text())
    t5, _ = read_header(models / "text_encoders" / "t5xxl_fp16.safetensors")
    sdxl, _ = read_header(models / "checkpoints" / "sd_xl_base_1.0.safetensors")
    adm = sdxl["model.diffusion_model.label_emb.0.0.weight"]["shape"][1]
    assert t5["shared.weight"]["shape"][1] == sizes["text_encoders"]["t5xxl"]["d_model"]
    assert adm == sizes["unets"]["sdxl"]["adm_in_channels"]


def test_stub_can_be_imported_and_fails_when_called() -> None:
    code = """\
import torchaudio, torchvision
from torchvision.transforms.functional import InterpolationMode
class Derived(torchvision.transforms.Compose): pass
try:
    torchaudio.load("x.wav")
except RuntimeError as error:
    print(error)
"""
    command = [sys.executable, "-B", "-c", code]
    environment = {"PYTHONPATH": str(FOLDER / "stubs")}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "torchaudio.load is not installed in this CPU-only ComfyUI"


def test_start_prints_url_and_pid_and_stop_ends_it(prepared: Path) -> None:
    started = script("start.sh", prepared, 0, "--extra", "argument")
    assert started.returncode == 0, started.stderr
    url, pid = started.stdout.splitlines()[-1].split()
    port = url.removeprefix("http://127.0.0.1:")
    assert (prepared / f"comfyui-{port}.pid").read_text().strip() == pid
    with urllib.request.urlopen(f"{url}/system_stats", timeout=DEADLINE_S) as response:
        arguments = response.read().decode()
    assert arguments.endswith("--extra argument")
    assert str(prepared / "run" / port / "output") in arguments

    assert script("stop.sh", prepared, port).returncode == 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(port))) != 0
    assert not list(prepared.glob("*.pid"))


def test_two_run_side_by_side_and_stop_ends_both(prepared: Path) -> None:
    first, second = (script("start.sh", prepared).stdout.split()[0] for _ in range(2))
    assert first != second
    assert script("stop.sh", prepared).stdout.count("stopped") == 2


def test_start_refuses_a_taken_port(prepared: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        result = script("start.sh", prepared, server.getsockname()[1])
    assert result.returncode == 1
    assert "is taken" in result.stderr


def test_start_shows_the_log_of_what_ended_at_once(prepared: Path) -> None:
    (prepared / "ComfyUI" / "main.py").write_text("raise SystemExit('no such model')")
    result = script("start.sh", prepared)
    assert result.returncode == 1
    assert "no such model" in result.stderr
    assert not list(prepared.glob("*.pid"))


@pytest.mark.parametrize("name", ["start.sh", "run.sh"])
def test_an_unprepared_folder_is_named(name: str, tmp_path: Path) -> None:
    result = script(name, tmp_path)
    assert result.returncode == 1
    assert f"prepared in {tmp_path}: run infra/comfyui/prepare.sh" in result.stderr


def test_stop_leaves_a_stranger_alone(tmp_path: Path) -> None:
    """The recorded process may be gone, and its number belong to another program."""
    sleeper = [sys.executable, "-c", "input()"]
    with subprocess.Popen(sleeper, stdin=subprocess.PIPE) as stranger:
        (tmp_path / "comfyui-8188.pid").write_text(str(stranger.pid))
        assert script("stop.sh", tmp_path).returncode == 0
        assert stranger.poll() is None
        stranger.communicate(b"\n")
    assert stranger.returncode == 0
    assert not list(tmp_path.glob("*.pid"))
