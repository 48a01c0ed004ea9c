"""Everything at once: kills, stops, lost and doubled doorbells, errors, and what must hold after.

    python -m tests.e2e.faults.chaos --backend embedded --jobs 200 --seconds 60 --seed 1

The seed decides what happens when; how the processes are scheduled is up to the machine.
"""

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import requests
from blake3 import blake3

from comfyq.domain.errors import Unavailable
from tests.e2e.faults.client import CALL_S, ENDS, Follower, Json, until
from tests.e2e.faults.comfy import Simulated
from tests.e2e.faults.doorbells import Doorbells
from tests.e2e.faults.ownership import Owned, owned
from tests.fixtures.faulty_proxy import Deed, Fault, Service
from tests.processes import Process

WORKERS = 4
SIMULATORS = 2  # two workers share one, so that what a dead one rendered can be adopted
EVENT_EVERY_S = 0.8
OUTAGE_S = (0.5, 2.0)
FROZEN_S = (0.5, 5.0)  # a lease is 3 s
QUIET_S = 120.0  # everything must have ended that long after the last fault
FOLLOWED_EVERY = 5  # jobs

SERVICES: tuple[Service, ...] = ("table", "queue", "assets")
DEEDS: tuple[Deed, ...] = ("error", "throttle", "lose", "silent")
PORT_CALLS = (
    ("table", "write"),
    ("table", "get"),
    ("table", "query"),
    ("queue", "receive"),
    ("queue", "ack"),
    ("queue", "hide"),
    ("assets", "put"),
    ("notifier", "post"),
)


@dataclass
class Tally:
    """What happened, and what was wrong afterwards."""

    accepted: list[str] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)
    ends: dict[str, str] = field(default_factory=dict)  # as first seen
    attempts: int = 0
    broken: list[str] = field(default_factory=list)


class Chaos:
    """One run over a system of its own."""

    def __init__(self, system: Owned, *, jobs: int, seconds: float, seed: int) -> None:
        self._system = system
        self._jobs = jobs
        self._seconds = seconds
        self._random = random.Random(seed)
        self._up = system.up()
        self._lab = system.lab(self._up)
        self._simulators = [self._lab.simulator() for _ in range(SIMULATORS)]
        self._workers = [self._worker(slot) for slot in range(WORKERS)]
        self._frozen: dict[int, float] = {}  # slot -> monotonic, when it is woken
        self._outage_ends = 0.0
        self._followers: dict[str, Follower] = {}
        self.tally = Tally()

    def run(self) -> Tally:
        began = time.monotonic()
        next_event = began
        try:
            while (now := time.monotonic()) < began + self._seconds:
                self._submit_until(self._jobs * (now - began) / self._seconds)
                self._pass_time(now)
                if now >= next_event:
                    self._strike()
                    next_event = now + self._random.uniform(0, 2 * EVENT_EVERY_S)
                self._look()
            self._submit_until(self._jobs)
            self._heal()
            self._settle()
            self._judge()
        finally:
            for follower in self._followers.values():
                follower.close()
            self._lab.close()
        return self.tally

    def _submit_until(self, count: float) -> None:
        """A client that asks again, with the same key, until it is told 202."""
        while len(self.tally.accepted) < int(count):
            number = len(self.tally.accepted)
            key = str(UUID(int=self._random.getrandbits(128)))
            body = {"workflow": "nap", "seconds": self._random.uniform(0.02, 0.5)}
            job_id = self._accepted(body, key)
            self.tally.accepted.append(job_id)
            if number % FOLLOWED_EVERY == 0:
                self._follow(job_id)

    def _accepted(self, body: Json, key: str) -> str:
        url, headers = f"{self._up.url}/generate", {"Idempotency-Key": key}
        while True:
            self._pass_time(time.monotonic())
            with suppress(requests.RequestException):
                answer = requests.post(url, json=body, headers=headers, timeout=CALL_S)
                if answer.status_code == 202:
                    return str(answer.json()["id"])
                assert answer.status_code == 503, answer.text

    def _follow(self, job_id: str) -> None:
        """A socket that cannot be had in an outage is had later."""
        url = f"{self._up.url.replace('http', 'ws', 1)}/ws/progress/{job_id}"
        with suppress(AssertionError):
            self._followers[job_id] = Follower(url)

    def _strike(self) -> None:
        kinds: Sequence[tuple[str, Callable[[], None]]] = (
            ("kill", self._kill),
            ("stop", self._stop),
            ("freeze", self._freeze),
            ("double", self._double),
            ("drop", self._drop),
            ("outage", self._outage),
            ("api", self._kill_api),
        )
        weights = (4, 2, 3, 3, 2, 4, 0.4)
        [(name, strike)] = self._random.choices(kinds, weights)
        self.tally.events[name] += 1
        strike()

    def _kill(self) -> None:
        self._replace(lambda worker: worker.kill())

    def _stop(self) -> None:
        self._replace(lambda worker: worker.signal(signal.SIGTERM))

    def _replace(self, end: Callable[[Process], None]) -> None:
        slot = self._random.randrange(WORKERS)
        self._wake(slot)
        worker = self._workers[slot]
        end(worker)
        until(lambda: worker.code is not None, "it has ended", within_s=60)
        self._workers[slot] = self._worker(slot, faults=self._rules())

    def _freeze(self) -> None:
        slot = self._random.randrange(WORKERS)
        self._workers[slot].signal(signal.SIGSTOP)
        self._frozen[slot] = time.monotonic() + self._random.uniform(*FROZEN_S)

    def _double(self) -> None:
        waiting = self._open()
        doubled = self._random.sample(waiting, k=min(5, len(waiting)))
        with Doorbells(self._up.exports) as bells, suppress(Unavailable):
            for job_id in doubled:
                bells.ring(job_id)

    def _drop(self) -> None:
        with Doorbells(self._up.exports) as bells, suppress(Unavailable):
            for delivery in bells.take_any(3):
                bells.lose(delivery)

    def _outage(self) -> None:
        """Errors of the emulator's services; the embedded ones are in the workers' rules."""
        if self._system.backend != "emulator":
            return
        service, deed = self._random.choice(SERVICES), self._random.choice(DEEDS)
        self._system.proxy.break_(Fault(service, deed, share=self._random.choice((0.3, 1.0))))
        self._outage_ends = time.monotonic() + self._random.uniform(*OUTAGE_S)

    def _kill_api(self) -> None:
        """It comes back at the same address; whoever followed through it has to come again."""
        port = int(self._up.url.rpartition(":")[2])
        self._end_outage()
        self._up.kill()
        self._up = self._system.up(port=port)
        for job_id in list(self._followers):
            if self._followers[job_id].ended_at is None:
                self._follow(job_id)

    def _rules(self) -> Sequence[dict[str, Any]]:
        """A few calls of a worker's ports that fail, are lost or done twice."""
        return [self._rule() for _ in range(self._random.randrange(4))]

    def _rule(self) -> dict[str, Any]:
        port, call = self._random.choice(PORT_CALLS)
        return {
            "port": port,
            "call": call,
            "do": "raise",
            "when": self._random.choice(("before", "after")),
            "at": self._random.randrange(1, 40),
            "times": self._random.randrange(1, 4),
        }

    def _worker(self, slot: int, faults: Sequence[dict[str, Any]] = ()) -> Process:
        simulator: Simulated = self._simulators[slot % SIMULATORS]
        env = {"COMFYQ_DATA_DIR": str(self._system.data_dir.parent / f"machine{slot}")}
        if self._system.backend == "embedded":
            env = {}
        name = f"chaos{slot}"
        return self._lab.worker(simulator, worker_id=name, faults=faults, env=env)

    def _pass_time(self, now: float) -> None:
        for slot, until_s in list(self._frozen.items()):
            if now >= until_s:
                self._wake(slot)
        if self._outage_ends and now >= self._outage_ends:
            self._end_outage()

    def _wake(self, slot: int) -> None:
        if self._frozen.pop(slot, None) is not None:
            self._workers[slot].signal(signal.SIGCONT)

    def _end_outage(self) -> None:
        self._outage_ends = 0.0
        if self._system.backend == "emulator":
            self._system.proxy.heal()

    def _look(self) -> None:
        """Note each end when it is first seen; what it is later must be the same."""
        with suppress(requests.RequestException):
            answer = requests.get(f"{self._up.url}/generate?limit=100", timeout=CALL_S)
            if answer.status_code == 200:
                self._note(answer.json()["jobs"])

    def _note(self, listed: Sequence[Json]) -> None:
        for job in listed:
            if job["status"] in ENDS:
                first = self.tally.ends.setdefault(job["id"], job["status"])
                if first != job["status"]:
                    self.tally.broken.append(f"{job['id']} was {first}, is {job['status']}")

    def _heal(self) -> None:
        self._end_outage()
        for slot in list(self._frozen):
            self._wake(slot)
        for slot, worker in enumerate(self._workers):
            worker.kill()
            self._workers[slot] = self._worker(slot)
        for job_id in self.tally.accepted[::FOLLOWED_EVERY]:
            if job_id not in self._followers:
                self._follow(job_id)

    def _settle(self) -> None:
        """Wait until everything has ended. Doorbells were lost, so for whoever waits, an hour
        passes; a lease needs no more than itself."""
        deadline = time.monotonic() + QUIET_S
        while (waiting := self._open()) and time.monotonic() < deadline:
            with Doorbells(self._up.exports) as bells:
                for job_id in waiting:
                    bells.an_hour_passes(job_id, if_waiting=True)
            with suppress(AssertionError):
                until(lambda: not self._open(), "everything has ended", within_s=5)
        self.tally.broken += [f"{job_id} has not ended" for job_id in self._open()]

    def _open(self) -> list[str]:
        """Accepted jobs that are not known to have ended."""
        for job_id in self.tally.accepted:
            if job_id not in self.tally.ends:
                with suppress(requests.RequestException):
                    answer = requests.get(f"{self._up.url}/generate/{job_id}", timeout=CALL_S)
                    if answer.status_code == 200:
                        self._note([answer.json()])
        return [job_id for job_id in self.tally.accepted if job_id not in self.tally.ends]

    def _judge(self) -> None:
        for job_id in self.tally.accepted:
            if job_id in self.tally.ends:
                story = self._lab.client.story(job_id)
                self.tally.broken += [f"{job_id} {fault}" for fault in self._faults_of(story)]
        for job_id, follower in self._followers.items():
            with suppress(AssertionError):
                until(lambda f=follower: f.ended_at is not None, "told", within_s=30)  # type: ignore[misc]
            told = {frame["status"] for frame in follower.frames} & ENDS
            if told != {self.tally.ends.get(job_id)}:
                self.tally.broken.append(f"the follower of {job_id} was told {told}")

    def _faults_of(self, story: Json) -> list[str]:
        """What of the promise a job's story breaks."""
        self.tally.attempts += len(story["attempts"])
        faults = []
        if story["status"] != self.tally.ends[story["id"]]:
            faults.append(f"ended {self.tally.ends[story['id']]}, and then {story['status']}")
        wins = [each["number"] for each in story["attempts"] if each["verdict"] == "succeeded"]
        if wins != ([story["attempt"]] if story["status"] == "completed" else []):
            faults.append(f"is {story['status']} and was won by {wins}")
        if story["status"] == "failed" and story["error_code"] != "worker-lost":
            faults.append(f"failed: {story['error']}")
        if story["status"] == "completed":
            faults += self._faults_of_outputs(story)
        return faults

    def _faults_of_outputs(self, story: Json) -> list[str]:
        if len(story["outputs"]) != 1:
            return [f"has {len(story['outputs'])} outputs"]
        [output] = story["outputs"]
        answer = requests.get(output["url"], timeout=CALL_S)
        is_whole = blake3(answer.content).hexdigest() == output["blake3"]
        return [] if is_whole else [f"has an output that is not there: {answer.status_code}"]


def run(backend: str, *, jobs: int, seconds: float, seed: int, workflows: Path) -> Tally:
    folder = Path(tempfile.mkdtemp(prefix="comfyq-chaos-"))
    try:
        with owned(folder, backend=backend, workflows=workflows, seed=seed) as system:
            return Chaos(system, jobs=jobs, seconds=seconds, seed=seed).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def summary(backend: str, seed: int, took_s: float, tally: Tally) -> str:
    ends = Counter(tally.ends.values())
    events = ", ".join(f"{count} {name}" for name, count in sorted(tally.events.items()))
    told = {
        "backend": backend,
        "seed": seed,
        "accepted": len(tally.accepted),
        "ended": dict(ends),
        "attempts": tally.attempts,
        "events": events,
        "seconds": round(took_s, 1),
        "broken": len(tally.broken),
    }
    return json.dumps(told)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--backend", choices=["embedded", "emulator"], action="append")
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1, help="so many runs, from --seed on")
    given = parser.parse_args()
    broken = 0
    for seed in range(given.seed, given.seed + given.seeds):
        for backend in given.backend or ["embedded", "emulator"]:
            began = time.monotonic()
            tally = run(
                backend,
                jobs=given.jobs,
                seconds=given.seconds,
                seed=seed,
                workflows=Path(__file__).parent / "workflows",
            )
            print(summary(backend, seed, time.monotonic() - began, tally), flush=True)
            for fault in tally.broken:
                print(f"  BROKEN: {fault}", flush=True)
            broken += len(tally.broken)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
