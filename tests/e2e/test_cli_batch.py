"""``comfyq batch`` and ``comfyq dead`` against a real ``comfyq up``."""

import csv
import json
import signal
import time
from pathlib import Path

import pytest
import requests

from tests.e2e.faults.client import until
from tests.e2e.test_cli import DEADLINE_S, Cli
from tests.e2e.test_intake import sender_to
from tests.processes import Processes

pytestmark = pytest.mark.anyio

HEADER = "prompt,width,height,steps,seed\n"


def test_a_file_of_requests_is_submitted_and_fetched(processes: Processes, tmp_path: Path) -> None:
    up = processes.up(workers=1)
    cli = Cli(tmp_path, up.url)
    (tmp_path / "jobs.csv").write_text(
        HEADER + '42,64,64,2,7\n"a fox, red",64,64,2,\n', encoding="utf-8"
    )
    accepted, ended = cli.json("batch", "jobs.csv", "--out", "made")
    assert accepted["counts"]["queued"] == 2
    assert ended["counts"]["completed"] == 2
    assert all(Path(tmp_path, file).stat().st_size > 0 for file in ended["files"])
    assert len(ended["files"]) == 2
    stories = [cli.one("show", item["job"]["id"])["parameters"] for item in ended["items"]]
    assert (stories[0]["prompt"], stories[0]["seed"]) == ("42", 7)
    assert stories[1]["prompt"] == "a fox, red"

    lines = [{"prompt": "an owl", "steps": 2}, {"prompt": "an owl", "steps": 0}]
    (tmp_path / "jobs.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    printed = [
        cli.one("batch", "jobs.jsonl", "--idempotency-key", "k", code=1)["batch_id"]
        for _ in range(2)
    ]
    assert printed[0] == printed[1]
    shown = cli.run("batch", "jobs.jsonl")
    assert (shown.returncode, "line 2: steps" in shown.stderr) == (1, True)


def test_an_interrupted_batch_goes_on(processes: Processes, tmp_path: Path) -> None:
    simulator = processes.simulator(options=["--step-s", "0.03"])
    up = processes.up(comfyui=[simulator.url])
    cli = Cli(tmp_path, up.url)
    rows = "".join(f"a fox {n},64,64,12,{n}\n" for n in range(12))
    (tmp_path / "jobs.csv").write_text(HEADER + rows, encoding="utf-8")
    arguments = ("batch", "jobs.csv", "--out", "made", "--name", "prompt")
    made = tmp_path / "made"
    running = cli.started(*arguments)
    try:
        while not _completed(up.url):
            assert running.poll() is None, running.communicate()
            time.sleep(0.01)  # it shares the cores with what it waits for
        simulator.signal(signal.SIGSTOP)  # however slow this machine is, the batch does not end
        while not list(made.glob("*.png")):
            assert running.poll() is None, running.communicate()
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=DEADLINE_S)
    finally:
        running.kill()
        running.communicate()
        simulator.signal(signal.SIGCONT)
    assert running.returncode == 130
    kept = {file: file.stat().st_ino for file in made.glob("*.png")}
    assert 0 < len(kept) < 12
    assert not list(made.glob("*.part"))
    written = _table(made)
    assert {row["files"] for row in written if row["files"]} <= {
        str(file.relative_to(tmp_path)) for file in kept
    }
    assert any(row["status"] == "queued" for row in written)

    accepted, ended = cli.json(*arguments)
    assert (accepted["size"], ended["counts"]["completed"]) == (12, 12)
    assert sorted(file.name for file in made.glob("*.png")) == sorted(
        f"a-fox-{n}-0.png" for n in range(12)
    )
    assert {file: file.stat().st_ino for file in kept} == kept  # those were not fetched again
    assert [row["job"] for row in _table(made)] == [row["job"] for row in written]
    assert len(cli.one("list", "--limit", 100)["jobs"]) == 12
    assert [each["size"] for each in cli.one("list", "--batches")["batches"]] == [12]


def _completed(url: str) -> bool:
    answer = requests.get(f"{url}/generate", params={"status": "completed"}, timeout=DEADLINE_S)
    return bool(answer.json()["jobs"])


def _table(folder: Path) -> list[dict[str, str]]:
    with (folder / "jobs.results.csv").open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


async def test_dead_letters_are_listed_shown_and_redriven(
    processes: Processes, tmp_path: Path
) -> None:
    up = processes.up(workers=0)
    cli = Cli(tmp_path, up.url)
    job_id = cli.one("submit", "a fox")["id"]
    with sender_to(up) as sender:
        sent = await sender.send_dead_doorbell(job_id)
        until(lambda: requests.get(f"{up.url}/dead/{sent}", timeout=DEADLINE_S).ok, "it is kept")
    assert [letter["id"] for letter in cli.one("dead", "list")["letters"]] == [sent]
    assert job_id in cli.run("dead", "show", sent).stdout
    printed = cli.one("dead", "redrive", sent)
    assert (printed["outcome"], printed["letter"]["redrives"]) == ("rung", 1)
    assert "sent again 1 times" in cli.run("dead", "list").stdout
    assert cli.run("dead", "redrive", "nowhere").returncode == 2
