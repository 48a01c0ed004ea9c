"""Many clients for long, with keys on: ``make soak``, or

    python -m tests.bench.soak [--seconds 600] [--clients 50] [--workers 4]

Clients submit, read, list, watch, cancel and upload at one ``comfyq up`` on a simulator. Then ten
times as many ask without a pause for a tenth of the time, and then none. Exit code 1: an answer was
no designed refusal, memory or open files grew, or the server did not recover by itself.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from statistics import median, quantiles
from time import monotonic

import aiohttp
import psutil

from tests.bench.soak_clients import FLOODING, Notes, Route, SoakClient
from tests.bench.stack import workflows_in
from tests.processes import Process, Processes, clean_env

THINK_S = 0.5
SAMPLE_S = 1.0
RECOVERED_S = 120.0  # within which everything that waits has to be run
SCOPES = ("submit", "read", "cancel", "metrics")
MAX_GROWTH = 1.15  # of the server's memory from the second quarter of the run to the last
MAX_FILES_MORE = 20
QUICK = 0.5  # nineteen of twenty refusals take that share of what as many answers take, at most


@dataclass(slots=True)
class Usage:
    """Memory and open files of a process, second by second."""

    rss_mb: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    async def follow(self, pid: int) -> None:
        process = psutil.Process(pid)
        while True:
            self.rss_mb.append(process.memory_info().rss / 2**20)
            self.files.append(process.num_fds())
            await asyncio.sleep(SAMPLE_S)

    def faults(self) -> Sequence[str]:
        """Tell what has grown from the second quarter to the last."""
        quarter = max(1, len(self.files) // 4)
        rss = [
            median(part) for part in (self.rss_mb[quarter : 2 * quarter], self.rss_mb[-quarter:])
        ]
        files = [
            median(part) for part in (self.files[quarter : 2 * quarter], self.files[-quarter:])
        ]
        told = []
        if rss[1] > rss[0] * MAX_GROWTH:
            told.append(f"memory grew from {rss[0]:.0f} to {rss[1]:.0f} MB")
        if files[1] > files[0] + MAX_FILES_MORE:
            told.append(f"open files grew from {files[0]:.0f} to {files[1]:.0f}")
        return told


async def phase(
    url: str, key: str, notes: Notes, *, clients: int, seconds: float, think_s: float
) -> Notes:
    """Let that many clients ask for that long."""
    until = monotonic() + seconds
    async with session_of(key, connections=2 * clients) as session:
        all_of_them = (SoakClient(session, url, notes, think_s=think_s) for _ in range(clients))
        await asyncio.gather(*(client.run(until=until) for client in all_of_them))
    return notes


def session_of(key: str, *, connections: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {key}"},
        connector=aiohttp.TCPConnector(limit=connections),
        timeout=aiohttp.ClientTimeout(total=60),
    )


async def recovered_s(url: str, key: str) -> float | None:
    """Return the time until the server is ready and no job waits any more; None: too long."""
    began = monotonic()
    async with session_of(key, connections=1) as session:
        while monotonic() - began < RECOVERED_S:
            with suppress(aiohttp.ClientError, TimeoutError):
                if await _is_idle(session, url):
                    return monotonic() - began
            await asyncio.sleep(0.5)
    return None


async def _is_idle(session: aiohttp.ClientSession, url: str) -> bool:
    async with session.get(f"{url}/health/ready") as ready:
        if ready.status != 200:
            return False
    async with session.get(f"{url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    names = ("comfyq_jobs_waiting", "comfyq_jobs_held", "comfyq_jobs_running")
    numbers = [float(line.split()[-1]) for line in lines if line.startswith(names)]
    return len(numbers) > len(names) and not any(numbers)


def table(notes: Notes) -> str:
    lines = [
        f"| `{name}` | {len(route.taken_s)} | {_times(route.taken_s)} | {len(route.refused_s)} |"
        for name, route in sorted(notes.routes.items())
    ]
    head = [
        "| route | answered | p50 ms | p95 ms | p99 ms | refused |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *lines])


def _tell(notes: Notes) -> None:
    print(
        f"refused: {dict(notes.refusals)}; sent again: {notes.resent}; errors: {dict(notes.errors)}"
    )


def _times(taken_s: Sequence[float]) -> str:
    if len(taken_s) < 2:
        return "- | - | -"
    cuts = quantiles(taken_s, n=100, method="inclusive")
    return " | ".join(f"{cuts[at - 1] * 1e3:.0f}" for at in (50, 95, 99))


def _slow_refusals(routes: Sequence[Route]) -> Sequence[str]:
    """Compare refusals with answers: how long either takes, the machine decides."""
    refused_s, answered_s = (
        _p95([*chain.from_iterable(times)])
        for times in (
            (route.refused_s for route in routes),
            (route.taken_s for route in routes),
        )
    )
    if refused_s <= answered_s * QUICK:
        return []
    return [f"refusals take {refused_s:.1f} s, answers {answered_s:.1f} s (p95)"]


def _p95(taken_s: Sequence[float]) -> float:
    return sorted(taken_s)[int(len(taken_s) * 0.95)] if taken_s else 0.0


def make_key(folder: Path) -> str:
    command = [sys.executable, "-m", "comfyq.cli", "keys", "create", "soak", "--json"]
    scopes = chain.from_iterable(("--scope", scope) for scope in SCOPES)
    made = subprocess.run(
        [*command, "--data-dir", str(folder / "data"), *scopes],
        capture_output=True,
        check=True,
        env=clean_env(folder),
    )
    key: str = json.loads(made.stdout)["key"]
    return key


async def soak(up: Process, key: str, *, seconds: float, clients: int) -> Sequence[str]:
    """Run all phases, print what they met, and return what is wrong."""
    usage = Usage()
    following = asyncio.create_task(usage.follow(up.pid))
    notes = await phase(up.url, key, Notes(), clients=clients, seconds=seconds, think_s=THINK_S)
    following.cancel()
    print(f"\n{clients} clients for {seconds:.0f} s\n\n{table(notes)}\n")
    _tell(notes)
    print(f"memory {usage.rss_mb[0]:.0f} to {usage.rss_mb[-1]:.0f} MB, files {usage.files[-1]}")
    wrong = [*map(str, notes.errors.items()), *usage.faults()]
    flood = Notes(designed=FLOODING)
    await phase(up.url, key, flood, clients=10 * clients, seconds=seconds / 10, think_s=0)
    print(f"\n{10 * clients} clients without a pause for {seconds / 10:.0f} s\n\n{table(flood)}\n")
    _tell(flood)
    wrong += [*map(str, flood.errors.items()), *_slow_refusals(list(flood.routes.values()))]
    took_s = await recovered_s(up.url, key)
    if took_s is None:
        return [*wrong, f"it has not recovered within {RECOVERED_S:.0f} s"]
    print(f"recovered after {took_s:.1f} s: ready, and no job waits")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--workers", type=int, default=4)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        servers = Processes(folder)
        env = {
            "COMFYQ_AUTH": "keys",
            "COMFYQ_WAITING_JOBS": "500",
            "COMFYQ_WORKFLOWS_DIR": str(workflows_in(folder)),
        }
        try:
            key = make_key(folder)
            simulator = servers.simulator(options=["--step-s", "0", "--preview-every-steps", "0"])
            up = servers.up(workers=given.workers, comfyui=[simulator.url], env=env)
            wrong = asyncio.run(soak(up, key, seconds=given.seconds, clients=given.clients))
        finally:
            servers.close()
    for each in wrong:
        print(f"WRONG: {each}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
