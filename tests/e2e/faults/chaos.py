"""Everything at once: kills, stops, lost and doubled doorbells, errors, and what must hold after.

    python -m tests.e2e.faults.chaos --backend embedded --jobs 200 --seconds 60 --seed 1

The seed decides what happens when; how the processes are scheduled is up to the machine.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

import requests
from blake3 import blake3

from infra.marked_part import rewrite
from tests.e2e.faults.client import CALL_S, ENDS, Follower, Json, until
from tests.e2e.faults.doorbells import Doorbells
from tests.e2e.faults.havoc import Havoc
from tests.e2e.faults.ownership import owned

CLIENTS = 12  # threads
TICK_S = 0.02
EVENT_EVERY_S = 0.8
LOOK_EVERY_S = 1.0
QUIET_S = 120.0  # everything must have ended that long after the last fault
LOST_S = 2.0  # what waits longer than that then has lost its doorbell
TOLD_S = 30.0  # and whoever follows must know it
FOLLOWED_EVERY = 5  # jobs


@dataclass
class Tally:
    """Counts of what happened, and of what was wrong afterwards."""

    accepted: list[str] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)
    ends: dict[str, str] = field(default_factory=dict)  # as first seen
    attempts: int = 0
    recovery_s: float = 0.0  # from the last fault until everything had ended
    broken: list[str] = field(default_factory=list)


class Chaos:
    """Clients of a system that havoc is made of."""

    def __init__(self, havoc: Havoc, chance: random.Random, *, jobs: int, seconds: float) -> None:
        self._havoc = havoc
        self._random = chance
        self._jobs = jobs
        self._seconds = seconds
        self._followers: dict[str, Follower] = {}
        self._followed: list[str] = []
        self._clients = ThreadPoolExecutor(CLIENTS)
        self.tally = Tally(events=havoc.events)

    def run(self) -> Tally:
        try:
            self._make_chaos()
            self._havoc.heal()
            self._follow_again()
            healed = time.monotonic()
            self._settle()
            self.tally.recovery_s = time.monotonic() - healed
            self._judge()
        finally:
            self._clients.shutdown()
            for follower in self._followers.values():
                follower.close()
        return self.tally

    @property
    def _url(self) -> str:
        return self._havoc.up.url

    def _make_chaos(self) -> None:
        """Clients submit and look by themselves: an outage that they wait for keeps nothing up."""
        began = next_event = next_look = time.monotonic()
        submissions: list[Future[None]] = []
        look: Future[None] | None = None
        while (now := time.monotonic()) < began + self._seconds:
            while len(submissions) < int(self._jobs * (now - began) / self._seconds):
                submissions.append(self._submission())
            if now >= next_event:
                if self._havoc.strike(self._open()) == "api":
                    self._follow_again()
                next_event = now + self._random.uniform(0, 2 * EVENT_EVERY_S)
            if now >= next_look and (look is None or look.done()):
                look = self._clients.submit(self._look)
                next_look = now + LOOK_EVERY_S
            time.sleep(TICK_S)
        submissions += [self._submission() for _ in range(self._jobs - len(submissions))]
        for submission in submissions:
            submission.result()

    def _submission(self) -> Future[None]:
        key = str(UUID(int=self._random.getrandbits(128)))
        body = {"workflow": "nap", "seconds": self._random.uniform(0.02, 0.5)}
        return self._clients.submit(self._submit, body, key)

    def _submit(self, body: Json, key: str) -> None:
        job_id = self._accepted(body, key)
        self.tally.accepted.append(job_id)
        if len(self.tally.accepted) % FOLLOWED_EVERY == 0:
            self._followed.append(job_id)
            self._follow(job_id)

    def _accepted(self, body: Json, key: str) -> str:
        """A client asks again, with the same key, until it is told 202."""
        headers = {"Idempotency-Key": key}
        while True:
            with suppress(requests.RequestException):
                answer = requests.post(
                    f"{self._url}/generate", json=body, headers=headers, timeout=CALL_S
                )
                if answer.status_code == 202:
                    return str(answer.json()["id"])
                assert answer.status_code == 503, answer.text

    def _follow(self, job_id: str) -> None:
        """A socket that cannot be had in an outage is had later."""
        url = f"{self._url.replace('http', 'ws', 1)}/ws/progress/{job_id}"
        with suppress(AssertionError):
            self._followers[job_id] = Follower(url)

    def _follow_again(self) -> None:
        """Whoever has not been told, and may have lost its socket, comes again."""
        for job_id in list(self._followed):
            follower = self._followers.get(job_id)
            if follower is None or (follower.ended_at is None and not follower.is_open):
                self._follow(job_id)

    def _look(self) -> None:
        """Note each end when it is first seen; what it is later must be the same."""
        url: str | None = f"{self._url}/generate?limit=100"
        with suppress(requests.RequestException):
            while url is not None:
                answer = requests.get(url, timeout=CALL_S)
                if answer.status_code != 200:
                    return
                self._note(answer.json()["jobs"])
                cursor = answer.json()["next_cursor"]
                url = cursor and f"{self._url}/generate?limit=100&cursor={quote(cursor)}"

    def _note(self, listed: Sequence[Json]) -> None:
        for job in listed:
            if job["status"] in ENDS:
                first = self.tally.ends.setdefault(job["id"], job["status"])
                if first != job["status"]:
                    self.tally.broken.append(f"{job['id']} was {first}, is {job['status']}")

    def _open(self) -> list[str]:
        """Accepted jobs that were not seen to end."""
        return [job_id for job_id in self.tally.accepted if job_id not in self.tally.ends]

    def _settle(self) -> None:
        """Wait until everything has ended. For jobs whose doorbells were lost, an hour passes."""
        deadline = time.monotonic() + QUIET_S
        while self._open() and time.monotonic() < deadline:
            with suppress(AssertionError):
                until(self._has_ended, "everything has ended", within_s=LOST_S)
            with Doorbells(self._havoc.up.exports) as bells:
                for job_id in self._open():
                    bells.an_hour_passes(job_id, if_waiting=True)
        self.tally.broken += [f"{job_id} has not ended" for job_id in self._open()]

    def _has_ended(self) -> bool:
        self._look()
        return not self._open()

    def _judge(self) -> None:
        for job_id in self.tally.ends:
            story = self._havoc.lab.client.story(job_id)
            self.tally.attempts += len(story["attempts"])
            end = self.tally.ends[job_id]
            self.tally.broken += [f"{job_id} {fault}" for fault in faults_of(story, end)]
        unknown = set(self.tally.ends) - set(self.tally.accepted)
        self.tally.broken += [f"{job_id} was never accepted" for job_id in unknown]
        for job_id, follower in self._followers.items():
            self._judge_follower(job_id, follower)

    def _judge_follower(self, job_id: str, follower: Follower) -> None:
        with suppress(AssertionError):
            until(lambda: follower.ended_at is not None, "told", within_s=TOLD_S)
        final_statuses = {frame["status"] for frame in follower.frames} & ENDS
        if final_statuses != {self.tally.ends.get(job_id)}:
            self.tally.broken.append(
                f"the follower of {job_id} was told {final_statuses or 'nothing'}"
            )


def faults_of(story: Json, end: str) -> list[str]:
    """List the ways in which a job's story breaks the promise."""
    faults = []
    if story["status"] != end:
        faults.append(f"ended {end}, and then {story['status']}")
    wins = [each["number"] for each in story["attempts"] if each["verdict"] == "succeeded"]
    if wins != ([story["attempt"]] if story["status"] == "completed" else []):
        faults.append(f"is {story['status']} and was won by {wins}")
    if story["status"] == "failed" and story["error_code"] != "worker-lost":
        faults.append(f"failed: {story['error']}")
    if story["status"] == "completed":
        faults += faults_of_outputs(story)
    return faults


def faults_of_outputs(story: Json) -> list[str]:
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
            chance = random.Random(seed)
            havoc = Havoc(system, chance)
            try:
                return Chaos(havoc, chance, jobs=jobs, seconds=seconds).run()
            finally:
                havoc.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def summary(backend: str, seed: int, tally: Tally) -> Json:
    return {
        "backend": backend,
        "seed": seed,
        "accepted": len(tally.accepted),
        "ended": dict(Counter(tally.ends.values())),
        "attempts": tally.attempts,
        "events": dict(sorted(tally.events.items())),
        "recovery_s": round(tally.recovery_s, 1),
        "broken": len(tally.broken),
    }


def table(outcomes: Sequence[Json]) -> str:
    """Of all runs' summaries, a line a backend."""
    lines = [
        "| backend | seeds | jobs | ended | attempts | faults | broken promises |",
        "|---|---|---|---|---|---|---|",
    ]
    for backend in sorted({each["backend"] for each in outcomes}):
        runs = [each for each in outcomes if each["backend"] == backend]
        ended, events = _sum(run["ended"] for run in runs), _sum(run["events"] for run in runs)
        accepted, attempts, broken = (
            sum(run[name] for run in runs) for name in ("accepted", "attempts", "broken")
        )
        lines.append(
            f"| {backend} | {len(runs)} | {accepted} | {_told(ended)} | {attempts} "
            f"| {_told(events)} | {broken} |"
        )
    return "\n".join(lines)


def _sum(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    return sum(map(Counter, counts), Counter())


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def main() -> int:
    parser = argparse.ArgumentParser(prog="chaos", description="Random faults, and what must hold.")
    parser.add_argument("--backend", choices=["embedded", "emulator"], action="append")
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1, help="so many runs, from --seed on")
    parser.add_argument("--into", type=Path, help="a document, whose part `chaos` gets the table")
    parser.add_argument("--beside", type=int, default=1, help="so many runs at the same time")
    given = parser.parse_args()
    workflows = Path(__file__).parent / "workflows"
    seeds = range(given.seed, given.seed + given.seeds)
    backends = given.backend or ["embedded", "emulator"]

    def outcome(run_of: tuple[int, str]) -> Json:
        seed, backend = run_of
        tally = run(backend, jobs=given.jobs, seconds=given.seconds, seed=seed, workflows=workflows)
        summed = summary(backend, seed, tally)
        print(
            "\n".join([json.dumps(summed), *(f"  BROKEN: {each}" for each in tally.broken)]),
            flush=True,
        )
        return summed

    with ThreadPoolExecutor(given.beside) as runs:
        outcomes = list(runs.map(outcome, product(seeds, backends)))
    print(drawn := table(outcomes))
    if given.into is not None:
        rewrite(given.into, "chaos", drawn)
    return 1 if any(each["broken"] for each in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
