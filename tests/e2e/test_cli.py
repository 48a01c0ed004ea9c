"""The commands against a real ``comfyq up``, each as a process of its own."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image

from tests.processes import Process, Processes, clean_env

DEADLINE_S = 60
SMALL = ("--width", "64", "--height", "64", "--steps", "4")

Json = dict[str, Any]


class Cli:
    """Runs commands as a person at a shell would."""

    def __init__(self, home: Path, url: str) -> None:
        self.home = home
        self._env = clean_env(home, {"COMFYQ_URL": url})

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "comfyq.cli", *map(str, arguments)],
            cwd=self.home,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    def started(self, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "comfyq.cli", *map(str, arguments)],
            cwd=self.home,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def json(self, *arguments: object, code: int = 0) -> list[Json]:
        """Each line that ``--json`` prints."""
        ended = self.run(*arguments, "--json")
        assert ended.returncode == code, ended.stderr
        return [json.loads(line) for line in ended.stdout.splitlines()]

    def one(self, *arguments: object, code: int = 0) -> Json:
        [line] = self.json(*arguments, code=code)
        return line


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    processes = Processes(tmp_path_factory.mktemp("up"))
    try:
        yield processes.up()
    finally:
        processes.close()


@pytest.fixture
def cli(up: Process, tmp_path: Path) -> Cli:
    return Cli(tmp_path, up.url)


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[Cli]:
    """Commands for a port that is taken by somebody who never listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield Cli(tmp_path, f"http://127.0.0.1:{taken.getsockname()[1]}")


def test_submit_waits_and_brings_the_picture(cli: Cli, tmp_path: Path) -> None:
    asked = ("submit", "a fox", *SMALL, "--seed", 7, "--out", tmp_path / "out")
    accepted, *frames, ended = cli.json(*asked)
    assert accepted["status"] == "queued"
    assert {frame["job_id"] for frame in frames} == {accepted["id"]}
    positions = [(frame["seq"], frame["progress"]) for frame in frames]
    assert positions == sorted(positions)  # one may come again, with another place or reason
    assert frames[-1]["status"] == ended["status"] == "completed"
    assert ended["seed"] == 7
    [file] = map(Path, ended["files"])
    assert file.parent == tmp_path / "out"
    with Image.open(file) as picture:
        assert (picture.format, picture.size) == ("PNG", (64, 64))


def test_without_json_only_the_file_is_on_standard_output(cli: Cli, tmp_path: Path) -> None:
    ended = cli.run("submit", "a fox", *SMALL, "--negative-prompt", "blur", "--out", "here")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / ended.stdout.strip()).is_file()
    assert "warning: negative_prompt" in ended.stderr
    assert "100%" in ended.stderr


def test_a_submitted_job_is_followed_shown_and_listed(cli: Cli) -> None:
    job_id = cli.one("submit", "an owl", *SMALL, "--lora", "tiny_flux_lora:0.5")["id"]
    assert cli.json("watch", job_id)[-1]["status"] == "completed"
    assert cli.one("status", job_id)["status"] == "completed"
    story = cli.one("show", job_id)
    assert story["parameters"]["prompt"] == "an owl"
    assert [attempt["verdict"] for attempt in story["attempts"]] == ["succeeded"]
    page = cli.one("list", "--limit", 1)
    assert [job["id"] for job in page["jobs"]] == [job_id]
    for command in ("watch", "status", "show", "list"):
        shown = cli.run(command, *([] if command == "list" else [job_id]))
        assert shown.returncode == 0, shown.stderr
        assert job_id in shown.stdout


def test_the_next_page_is_asked_for_by_cursor(cli: Cli) -> None:
    first, second = (cli.one("submit", "an elk", *SMALL)["id"] for _ in range(2))
    page = cli.one("list", "--limit", 1)
    assert [job["id"] for job in page["jobs"]] == [second]
    page = cli.one("list", "--limit", 1, "--cursor", page["next_cursor"])
    assert [job["id"] for job in page["jobs"]] == [first]


def test_an_idempotency_key_gives_the_first_answer(cli: Cli) -> None:
    asked = ("submit", "a hare", *SMALL, "--idempotency-key", uuid4())
    assert cli.one(*asked)["id"] == cli.one(*asked)["id"]
    assert cli.run(*asked, "--seed", 5).returncode == 2


def test_what_was_made_before_is_had_at_once(cli: Cli) -> None:
    asked = ("submit", "flux-dev", "a lynx", *SMALL, "--seed", 11, "--reuse", "--out", "here")
    *_, first = cli.json(*asked)
    *_, again = cli.json(*asked)
    assert (first["reused_from"], again["reused_from"]) == (None, first["id"])
    pictures = [(cli.home / job["files"][0]).read_bytes() for job in (first, again)]
    assert pictures[0] == pictures[1]
    assert len(cli.one("show", again["id"])["attempts"]) == 0


def test_a_path_is_uploaded_with_its_job(cli: Cli, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    asked = ("submit", "sd15-img2img", "a fox", "--image", "red.png", "--steps", 2)
    *_, ended = cli.json(*asked, "--out", "here")
    assert ended["status"] == "completed"
    stored = cli.one("upload", "red.png")
    story = cli.one("show", ended["id"])
    assert story["parameters"]["image"] == stored["source"], "the same bytes are the same asset"


def test_a_canceled_job_ends_with_1(cli: Cli) -> None:
    job_id = cli.one("submit", "a slow one", "--steps", 150)["id"]
    assert cli.one("cancel", job_id)["cancel_requested"]
    assert cli.json("watch", job_id, code=1)[-1]["status"] == "canceled"
    assert cli.one("status", job_id, code=1)["status"] == "canceled"
    assert cli.one("cancel", job_id)["status"] == "canceled"


def test_a_refusal_names_every_bad_field(cli: Cli) -> None:
    refused = cli.run("submit", "a fox", "--width", 63, "--steps", 0)
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert "refused (422 invalid-parameters)" in refused.stderr
    assert "\n  width: " in refused.stderr
    assert "\n  steps: " in refused.stderr


def test_a_job_that_is_not_there_is_wrong_usage(cli: Cli) -> None:
    for command in ("status", "watch", "show", "cancel"):
        refused = cli.run(command, uuid4())
        assert refused.returncode == 2, command
        assert "job-not-found" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_wrong_options_are_wrong_usage(cli: Cli) -> None:
    assert cli.run("submit").returncode == 2
    assert cli.run("list", "--limit", "many").returncode == 2
    assert cli.run("dance").returncode == 2


def test_nobody_there(nobody: Cli) -> None:
    job_id = uuid4()
    for command in (("submit", "a fox"), ("status", job_id), ("watch", job_id), ("list",)):
        ended = nobody.run(*command)
        assert ended.returncode == 3, command
        assert ended.stdout == ""
        assert "cannot reach http://127.0.0.1:" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_a_url_that_is_no_server_of_ours(cli: Cli) -> None:
    ended = cli.run("--url", "http://no such host", "health")
    assert ended.returncode == 3
    assert "Traceback" not in ended.stderr


def test_health_tells_that_pictures_are_simulated(cli: Cli) -> None:
    assert cli.one("health")["simulated"]
    assert "(simulated)" in cli.run("health").stdout


def test_env_is_what_another_process_joins_with(cli: Cli, up: Process) -> None:
    assert cli.one("env", "--data-dir", up.data_dir) == up.exports
    shell = cli.run("env", "--data-dir", up.data_dir).stdout
    script = f'{shell}\necho "$COMFYQ_URL $COMFYQ_DATA_DIR"'
    printed = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert printed.stdout == f"{up.url} {up.data_dir}\n"


def test_env_without_an_up(cli: Cli, tmp_path: Path) -> None:
    ended = cli.run("env", "--data-dir", tmp_path)
    assert (ended.returncode, ended.stdout) == (3, "")


def test_a_taken_port_is_told(cli: Cli, up: Process, tmp_path: Path) -> None:
    port = up.url.rpartition(":")[2]
    ended = cli.run("up", "--port", port, "--data-dir", tmp_path / "other")
    assert ended.returncode == 5
    assert "cannot listen on" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_worker_of_its_own_process(processes: Processes, tmp_path: Path) -> None:
    simulator = processes.simulator(generation="0.3.75")
    up = processes.up(workers=0)
    cli = Cli(tmp_path, up.url)
    assert cli.one("health", code=1)["reason"].startswith("no worker is connected; ")
    waiting = cli.one("submit", "a fox", *SMALL)["id"]
    worker = processes.worker(comfyui=[simulator.url], up=up, worker_id="alone")
    assert cli.json("watch", waiting)[-1]["status"] == "completed"
    assert [tried["worker"] for tried in cli.one("show", waiting)["attempts"]] == ["alone"]
    second = cli.run("worker", "--worker-id", "alone", "--comfyui", simulator.url, "--data-dir",
                     up.data_dir)  # fmt: skip
    assert second.returncode == 5
    assert "alone is running already" in second.stderr
    assert [worker.stop(), up.stop(), simulator.stop()] == [0, 0, 0]
    assert cli.run("env", "--data-dir", up.data_dir).returncode == 3


def test_who_watches_lives_through_the_death_of_up(processes: Processes, tmp_path: Path) -> None:
    """A job, a job and a batch together, and a batch whose files are fetched as they are made."""
    up = processes.up(workers=0)
    cli = Cli(tmp_path, up.url)
    (tmp_path / "two.csv").write_text("prompt,width,height,steps\na fox,64,64,2\nan owl,64,64,2\n")
    job_id = cli.one("submit", "a fox", *SMALL)["id"]
    with ExitStack() as stack:
        fetching = stack.enter_context(cli.started("batch", "two.csv", "--out", "made", "--json"))
        batch_id = _next(fetching)["batch_id"]
        watched = ((job_id,), (job_id, batch_id))
        watching = [stack.enter_context(cli.started("watch", *ids, "--json")) for ids in watched]
        for watch, ids in zip(watching, watched, strict=True):
            assert {_id_of(_next(watch)) for _ in ids} == set(ids)
        up.kill()
        processes.up(port=int(up.url.rpartition(":")[2]))
        ended = [each.communicate(timeout=DEADLINE_S) for each in (*watching, fetching)]
    assert [each.returncode for each in (*watching, fetching)] == [0] * 3, ended
    for _, said in ended:  # a server may be back before anything was asked of it
        assert said.count("\n") <= 1
        assert not said or said.endswith("; trying again, for 60 s at most\n")
    job, both, fetched = ([json.loads(e) for e in told.splitlines()] for told, _ in ended)
    assert job[-1]["status"] == "completed"
    assert fetched[-1]["counts"]["completed"] == 2
    ends = [each for each in both if each.get("done") or each.get("status") == "completed"]
    assert {_id_of(each) for each in ends} == {job_id, batch_id}
    assert len({(tmp_path / file).read_bytes() for file in fetched[-1]["files"]}) == 2


def _next(command: subprocess.Popen[str]) -> Json:
    assert command.stdout is not None
    told: Json = json.loads(command.stdout.readline())
    return told


def _id_of(frame: Json) -> str:
    name: str = frame.get("job_id") or frame["batch_id"]
    return name
