"""Progress as server-sent events from a real server, over its restart."""

import json
import signal
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx2

from tests.e2e.test_restart import WAIT_S, submit
from tests.processes import Processes

Event = tuple[int, dict[str, Any]]  # its id, and its frame


def events(url: str, job_id: str, *, after: int | None = None) -> Generator[Event, None, None]:
    """The events of a job until its stream ends or breaks; ``after`` the one of that id."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    path = f"{url}/generate/{job_id}/events"
    try:
        with httpx2.stream("GET", path, headers=headers, timeout=WAIT_S) as answer:
            assert answer.status_code == 200
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if line:
                    fields[name] = value
                elif "data" in fields:
                    yield int(fields["id"]), json.loads(fields.pop("data"))
    except httpx2.RemoteProtocolError:
        return  # the server was killed


def first_event(url: str, job_id: str) -> dict[str, Any] | None:
    """The first frame of a new stream, which is left then; None: it was refused."""
    with httpx2.stream("GET", f"{url}/generate/{job_id}/events", timeout=WAIT_S) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                frame: dict[str, Any] = json.loads(line.removeprefix("data: "))
                return frame
    return None


def test_a_stream_goes_on_behind_the_servers_death(processes: Processes, tmp_path: Path) -> None:
    simulator = processes.simulator(options=["--step-s", "0.05"])
    first = processes.up(comfyui=[simulator.url], data_dir=tmp_path / "data")
    job_id = submit(first, steps=30)
    seen: list[Event] = []
    for each in events(first.url, job_id):
        seen.append(each)
        if each[1]["step"] > 1:
            first.kill()
    assert seen[-1][1]["status"] == "running"

    second = processes.up(comfyui=[simulator.url], data_dir=tmp_path / "data")
    later = list(events(second.url, job_id, after=seen[-1][0]))
    ids = [each[0] for each in [*seen, *later]]
    assert ids == sorted(ids), "the job's versions go back"
    assert later[-1][1]["status"] == "completed"
    assert httpx2.get(later[-1][1]["image_url"]).content.startswith(b"\x89PNG")
    last = ids[-1]
    for _ in range(5):  # that the end was told may be noted meanwhile, as a version of its own
        answer = httpx2.get(
            f"{second.url}/generate/{job_id}/events", headers={"Last-Event-ID": str(last)}
        )
        if answer.status_code == 204:
            break
        assert '"status":"completed"' in answer.text
        last = int(answer.text.partition("id: ")[2].partition("\n")[0])
    else:
        raise AssertionError("it never says that nothing will come")


def test_streams_take_places_and_keep_no_server_from_stopping(
    processes: Processes, tmp_path: Path
) -> None:
    few = {"COMFYQ_CONNECTIONS_PER_CLIENT": "4"}  # of which two may be streams
    up = processes.up(workers=0, data_dir=tmp_path / "data", env=few)
    job_id = submit(up)
    left, shown = events(up.url, job_id), events(up.url, job_id)
    assert next(left)[1]["status"] == next(shown)[1]["status"] == "queued"
    refused = httpx2.get(f"{up.url}/generate/{job_id}/events")
    assert (refused.status_code, refused.json()["code"]) == (503, "too-many-streams")
    left.close()
    deadline = time.monotonic() + WAIT_S
    while (again := first_event(up.url, job_id)) is None:  # until the server has seen that it left
        assert time.monotonic() < deadline
    assert again["status"] == "queued"
    up.signal(signal.SIGTERM)
    assert list(shown) == [], "it ends in order"
    assert up.wait() == 0
    assert "timeout graceful shutdown" not in up.log


def test_one_call_submits_and_returns_the_finished_job(
    processes: Processes, tmp_path: Path
) -> None:
    up = processes.up(data_dir=tmp_path / "data")
    body = {"prompt": "a cat", "width": 64, "height": 64, "steps": 1}
    answer = httpx2.post(
        f"{up.url}/generate", json=body, headers={"Prefer": "wait=20"}, timeout=WAIT_S
    )
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert answer.headers["Preference-Applied"] == "wait=20"
    assert httpx2.get(answer.json()["image_url"]).content.startswith(b"\x89PNG")
