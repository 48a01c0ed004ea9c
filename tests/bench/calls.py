"""What a job costs in calls: ``python -m tests.bench.calls [burst | pictures | reads] [COUNT]``

CPU time depends on what else the machine does; these figures are nearly the same in each run:
Python functions that are entered (a coroutine each time that it goes on), calls of the table,
transactions, those of them that are synced, files that are synced, and hops to threads. What works
by the clock is left out. The kinds of work are those of ``tests.bench.cpu_profile``.

``comfyq up`` runs in a thread of this process, ComfyUI is a simulator in a process of its own, and
the client is another thread, which is not counted.
"""

import asyncio
import sqlite3
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import aiohttp

from comfyq.adapters.sqlite import commit
from comfyq.adapters.sqlite.lane import Lane
from comfyq.config import Settings, read_settings
from comfyq.local.loop import new_event_loop
from comfyq.local.up import UpOptions, running
from comfyq.telemetry.numbers import QUEUE_CALLS, TABLE_CALLS
from tests.bench.client import Job, one_by_one, status_reads
from tests.bench.front import Front, front
from tests.bench.sampler import module_of
from tests.bench.stack import simulated, workflows_in
from tests.bench.work import many, trivial

COUNTS = {"burst": 100, "pictures": 50, "reads": 400}
WARM = 10  # jobs before the first that counts: caches are filled
SHOWN = 40  # modules, and functions
START_S = 60.0
POLL_S = 0.02
SETTLED = "SELECT count(*) FROM item WHERE apk GLOB 'ENDED#*'"  # jobs whose end was announced

COMMIT = commit._commit.__code__
COMMIT_ONE = commit.commit_one.__code__
TO_DATABASE = Lane.submit.__code__
TO_THREAD = frozenset({"WorkerThread._report_result", "ThreadPoolExecutor.submit"})  # of anyio, …
BACKGROUND = frozenset(  # tasks and threads that work by the clock, however many jobs there are
    {
        *("AsideJobs.run", "CatalogueWatch.run", "EngineWatch.run", "Heartbeat.run"),
        *("Heartbeat.publish", "OrphanedPrompts.run", "OutputRetry.run", "RunTimes.run"),
        *("SpaceWatch.run", "UnstoppedWatch.run", "_evict_for_ever", "keep_for_ever"),
        *(
            "push_reasons_for_ever",
            "reap_for_ever",
            "send_for_ever",
            "stall-watch",
            "take_for_ever",
        ),
    }
)


@dataclass(slots=True)
class Tally:
    """What was counted."""

    functions: Counter[CodeType] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)  # calls by the kind of task, or thread
    events: Counter[str] = field(default_factory=Counter)

    @property
    def calls(self) -> int:
        return self.functions.total()

    @property
    def modules(self) -> Counter[str]:
        modules: Counter[str] = Counter()
        for code, number in self.functions.items():
            modules[module_of(code.co_filename)] += number
        return modules

    @property
    def names(self) -> Counter[str]:
        names: Counter[str] = Counter()
        for code, number in self.functions.items():
            names[f"{module_of(code.co_filename)}: {code.co_qualname}"] += number
        return names


class CallCounter:
    """Counts in the threads whose profiler ``hook`` is."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._served = _calls_of_services()

    def taken(self) -> Tally:
        """Return what was counted since this was asked last."""
        tally, self._tally = self._tally, Tally()
        before, self._served = self._served, _calls_of_services()
        tally.events += self._served - before
        return tally

    def hook(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            if (where := _place()) not in BACKGROUND:
                self._tally.functions[frame.f_code] += 1
                self._tally.tasks[where] += 1
                self._note(frame)
        elif event == "c_call" and argument.__name__ == "fsync":
            self._tally.events["synced files and folders"] += 1

    def _note(self, frame: FrameType) -> None:
        events, code = self._tally.events, frame.f_code
        if code is COMMIT:
            if tasks := frame.f_locals["tasks"]:
                events["transactions"] += 1
                events["synced transactions"] += any(task.synced for task in tasks)
        elif code is COMMIT_ONE:
            events["transactions"] += 1
        elif code is TO_DATABASE:
            events["hops to the database's threads"] += 1
        elif code.co_qualname in TO_THREAD:
            events["hops to other threads"] += 1


def _calls_of_services() -> Counter[str]:
    return Counter(
        {
            f"calls of the {service}: {operation}": int(number)
            for service, metric in (("table", TABLE_CALLS), ("queue", QUEUE_CALLS))
            for (operation,), number in metric.values()
        }
    )


def _place() -> str:
    """Name the kind of the task that runs in this thread, or the thread."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return threading.current_thread().name.split(" ")[0].rstrip("_0123456789")
    if task is None:
        return "callbacks of the event loop"
    return str(getattr(task.get_coro(), "__qualname__", "other tasks"))


class CountedUp:
    """``comfyq up`` in a thread whose calls are counted."""

    def __init__(self, settings: Settings, comfyui_url: str) -> None:
        self.counter = CallCounter()
        self.database = settings.data_dir / "comfyq.db"
        self.url = Future[str]()
        self._settings = settings
        self._options = UpOptions(port=0, comfyui=[comfyui_url])
        self._stopped = asyncio.Event()
        self._loop = new_event_loop()

    def run(self) -> None:
        sys.setprofile(self.counter.hook)
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except Exception as failed:
            self.url.set_exception(failed)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)

    async def _serve(self) -> None:
        async with running(self._settings, self._options) as up:
            self.url.set_result(up.url)
            await self._stopped.wait()


@contextmanager
def counted_up(comfyui_url: str) -> Iterator[CountedUp]:
    """Run ``comfyq up`` while the body runs."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "COMFYQ_DATA_DIR": f"{folder}/data",
            "COMFYQ_WORKFLOWS_DIR": str(workflows_in(Path(folder))),
        }
        up = CountedUp(read_settings(environment), comfyui_url)
        threading.setprofile(up.counter.hook)  # of the threads that it starts
        thread = threading.Thread(target=up.run, name="up")
        thread.start()
        try:
            up.url.result(START_S)
            yield up
        finally:
            up.stop()
            thread.join()
            threading.setprofile(None)


async def burst(client: Front, database: Path, count: int) -> None:
    """Submit jobs at once, and wait until they are settled without asking the server."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as table:
        wanted = _settled(table) + count
        jobs = [work.request for work in many(trivial, count)]
        await asyncio.gather(*(client.submit(job) for job in jobs))
        while _settled(table) < wanted:  # noqa: ASYNC110 - the table rings for nobody
            await asyncio.sleep(POLL_S)


def _settled(table: sqlite3.Connection) -> int:
    return int(table.execute(SETTLED).fetchone()[0])


async def until_checked(url: str, job: Job) -> None:
    """Wait until requests are checked against ComfyUI's catalogue, as they mostly are."""
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.post(f"{url}/generate?dry_run=true", json=job) as answer:
                if (await answer.json())["checked"]:
                    return
            await asyncio.sleep(POLL_S)


async def counted(up: CountedUp, kind: str, count: int) -> Tally:
    """Return what so many jobs, or reads of one job's status, cost together."""
    async with front(up.url.result()) as client:
        jobs = [work.request for work in many(trivial, count if kind == "pictures" else WARM)]
        await one_by_one(client, jobs[:WARM])
        job_id = await client.submit(jobs[0])
        await client.follow(job_id)
        await until_checked(up.url.result(), jobs[0])
        up.counter.taken()
        if kind == "burst":
            await burst(client, up.database, count)
        elif kind == "pictures":
            await one_by_one(client, jobs)
        else:
            await status_reads(client, job_id, count)
        return up.counter.taken()


def table(title: str, numbers: Mapping[str, int], count: int) -> str:
    largest = sorted(numbers.items(), key=lambda item: -item[1])
    lines = [f"| {name} | {number / count:.1f} |" for name, number in largest[:SHOWN]]
    if others := [number for _, number in largest[SHOWN:]]:
        lines.append(f"| {len(others)} others | {sum(others) / count:.1f} |")
    return "\n".join([f"| {title} | each |", "|---|---|", *lines])


def main(kind: str = "burst", number: str = "") -> None:
    count = int(number or COUNTS[kind])
    with simulated() as simulator, counted_up(simulator.url) as up:
        tally = asyncio.run(counted(up, kind, count))
    print(f"{kind}, {count}: {tally.calls / count:.0f} Python calls each")
    print(f"\n{table('what else', tally.events, count)}")
    print(f"\n{table('calls in', tally.tasks, count)}")
    print(f"\n{table('calls of functions of', tally.modules, count)}")
    print(f"\n{table('calls of', tally.names, count)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
