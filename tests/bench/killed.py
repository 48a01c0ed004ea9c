"""What servers of the Comfy API v2 tell of their jobs when ComfyUI, the server or both are killed.

Each has three jobs: one that has ended, one that runs and one that waits behind it. What is killed
is killed by SIGKILL while the second runs, and started again with the files that it left; whoever
reads the jobs goes on until all have ended and ComfyUI has nothing to do.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Protocol

import aiohttp

from comfyq.config import PROJECT
from tests.bench.api_v2 import ApiV2, api_v2
from tests.bench.proxy import ProxyProcess
from tests.bench.work import sleeping, trivial
from tests.e2e.faults.comfy import Real, free_port
from tests.processes import Process, Processes

PROXY, KEEPING, COMFYQ = "comfy-api-proxy", "the same with --state-dir", "comfyq"
ENDED_JOB, RUNNING_JOB, WAITING_JOB = "had ended", "ran", "waited"
JOBS = (ENDED_JOB, RUNNING_JOB, WAITING_JOB)
JOB_S = 3.0  # that the job takes in whose midst something is killed
AWAY_S = 1.0  # that what was killed stays away
READ_S = 0.05  # between reads
SETTLED_S = 2.0  # for which nothing may change until a story is over
PATIENCE_S = 120.0

FORGOTTEN = "404"
LOST = "succeeded, without its picture"
SUCCEEDED = "succeeded"
FALSE = frozenset({"expired", "failed", "canceled"})  # nobody's job expired or was canceled
GOING_ON = frozenset({"queued", "running", "canceling"})


@dataclass(slots=True)
class Story:
    """What one job was told to be, each state once in a row."""

    killed: str
    side: str
    job: str
    states: list[str] = field(default_factory=list)

    def tell(self, state: str) -> None:
        if self.states[-1:] != [state]:
            self.states.append(state)

    @property
    def is_over(self) -> bool:
        """Whether the last that was told is no state of a job that goes on, nor a refusal."""
        return bool(self.states) and self.states[-1] in {SUCCEEDED, FORGOTTEN, *FALSE}

    @property
    def is_false(self) -> bool:
        """Whether it was told to be gone, which no job that was accepted may be."""
        return any(state in {FORGOTTEN, LOST, *FALSE} for state in self.states)

    def __str__(self) -> str:
        *before, last = self.states
        shown = last if last == SUCCEEDED else f"**{last}**"
        return " → ".join([*before, f"{shown}, for ever" if last in GOING_ON else shown])


class Server(Protocol):
    """A server that can be killed and started again at the same URL."""

    url: str

    def kill(self) -> None: ...

    def start(self) -> None: ...


class ComfyqProcess:
    """``comfyq up`` with its worker in it."""

    def __init__(self, comfyui_url: str, processes: Processes) -> None:
        self._comfyui = [comfyui_url]
        self._processes = processes
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._up: Process
        self.start()

    def start(self) -> None:
        self._up = self._processes.up(comfyui=self._comfyui, port=self._port)

    def kill(self) -> None:
        self._up.kill()


async def stories() -> Sequence[Story]:
    """Kill ComfyUI, each server, and both, and return what was told of each job."""
    directory = os.environ.get("COMFYQ_TEST_COMFYUI_DIR")  # noqa: TID251 - a setting of the tests
    comfyui = Real(directory=Path(directory or PROJECT / ".comfyui"))
    told: list[Story] = []
    try:
        for killed in ("ComfyUI", "the server", "both"):
            for side in (PROXY, KEEPING, COMFYQ):
                told += await _told(killed, side, comfyui)
    finally:
        comfyui.close()
    return told


async def _told(killed: str, side: str, comfyui: Real) -> Sequence[Story]:
    async with _served(side, comfyui.url) as server, api_v2(server.url) as client:
        jobs = [await client.submit(trivial().graph)]
        await client.follow(jobs[0])
        jobs += [await client.submit(sleeping(JOB_S)().graph) for _ in range(2)]
        await client.begun(jobs[1])
        told = [Story(killed, side, job) for job in JOBS]
        reading = asyncio.create_task(_read(client, dict(zip(jobs, told, strict=True))))
        try:
            await asyncio.to_thread(_killed_and_started, killed, server, comfyui)
            await _settled(told, comfyui)
        finally:
            reading.cancel()
        await _look_at_pictures(client, dict(zip(jobs, told, strict=True)))
    return told


@asynccontextmanager
async def _served(side: str, comfyui_url: str) -> AsyncIterator[Server]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if side == COMFYQ:
            processes = Processes(folder)
            stack.callback(processes.close)
            yield ComfyqProcess(comfyui_url, processes)
        else:
            process = ProxyProcess(comfyui_url, folder, keeps_state=side == KEEPING)
            stack.callback(process.stop)
            yield process


def _killed_and_started(killed: str, server: Server, comfyui: Real) -> None:
    if killed != "the server":
        comfyui.kill()
    if killed != "ComfyUI":
        server.kill()
    sleep(AWAY_S)
    if killed != "the server":
        comfyui.restart()
    if killed != "ComfyUI":
        server.start()


async def _read(client: ApiV2, told: dict[str, Story]) -> None:
    """Read all jobs for ever; while the server is away nothing is told."""
    while True:
        for job_id, story in told.items():
            with suppress(aiohttp.ClientError):
                status, job = await client.told(job_id)
                story.tell(job["status"] if status == 200 else str(status))
        await asyncio.sleep(READ_S)


async def _settled(told: Sequence[Story], comfyui: Real) -> None:
    """Return when the jobs are over, or nothing is left that could end them."""
    deadline = monotonic() + PATIENCE_S
    quiet_since = monotonic()
    before: list[list[str]] = []
    while monotonic() < deadline:
        now = [list(story.states) for story in told]
        if now != before or not await asyncio.to_thread(_is_idle, comfyui):
            before, quiet_since = now, monotonic()
        if monotonic() - quiet_since > SETTLED_S and all(story.is_over for story in told):
            return
        await asyncio.sleep(READ_S)


def _is_idle(comfyui: Real) -> bool:
    queue = comfyui.get("queue")
    return not queue["queue_running"] and not queue["queue_pending"]


async def _look_at_pictures(client: ApiV2, told: dict[str, Story]) -> None:
    for job_id, story in told.items():
        if story.states[-1:] == [SUCCEEDED] and not await client.has_picture(job_id):
            story.tell(LOST)


def table(told: Sequence[Story]) -> str:
    """Return what each server told of each job."""
    sides = (PROXY, KEEPING, COMFYQ)
    lines = [
        f"| killed in mid-job and started again | a job that | {' | '.join(sides)} |",
        "|---" * (2 + len(sides)) + "|",
    ]
    cells = {(each.killed, each.job, each.side): str(each) for each in told}
    for killed in dict.fromkeys(each.killed for each in told):
        for job in JOBS:
            row = " | ".join(cells[killed, job, side] for side in sides)
            lines.append(f"| {killed} | {job} | {row} |")
    return "\n".join(lines)
