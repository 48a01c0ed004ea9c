"""Random faults of a running system: deaths, freezes, lost and doubled doorbells, errors."""

import random
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from threading import Timer
from typing import Any

from comfyq.domain.errors import Unavailable
from tests.e2e.faults.client import until
from tests.e2e.faults.doorbells import Doorbells
from tests.e2e.faults.lab import Lab
from tests.e2e.faults.ownership import Owned
from tests.fixtures.faulty_proxy import Deed, Fault, Service
from tests.processes import Process

WORKERS = 4
SIMULATORS = 2  # two workers share one, so that what a dead one rendered can be adopted
OUTAGE_S = (0.5, 2.0)
FROZEN_S = (0.5, 5.0)  # a lease is 3 s
RULES = 3  # at most, of one worker
DOUBLED = 5  # doorbells at a time
DROPPED = 3

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


class Havoc:
    """Four workers, and what happens to them and to the API. ``up`` is the API of now."""

    def __init__(self, system: Owned, chance: random.Random) -> None:
        self._system = system
        self._random = chance
        self.up = system.up()
        self.lab: Lab = system.lab(self.up)
        self.events: Counter[str] = Counter()
        self._timers: list[Timer] = []
        self._hands = ThreadPoolExecutor(WORKERS)
        self._simulators = [self.lab.simulator() for _ in range(SIMULATORS)]
        self._workers: list[Future[Process]] = [self._come(slot) for slot in range(WORKERS)]
        wait(self._workers)

    def strike(self, waiting: Sequence[str]) -> str:
        """Do one thing; its name. ``waiting`` are jobs that have not ended."""
        deeds: dict[str, Callable[[], None]] = {
            "kill": lambda: self._replace(Process.kill),
            "stop": lambda: self._replace(lambda worker: worker.signal(signal.SIGTERM)),
            "freeze": self._freeze,
            "double": lambda: self._double(waiting),
            "drop": self._drop,
            "outage": self._outage,
            "api": self._kill_api,
        }
        [name] = self._random.choices(list(deeds), weights=(4, 2, 3, 3, 2, 4, 0.4))
        self.events[name] += 1
        deeds[name]()
        return name

    def heal(self) -> None:
        """End every fault; healthy workers take the place of those that are there."""
        for timer in self._timers:
            timer.join()
        for slot, worker in enumerate(self._workers):
            worker.result().kill()
            self._workers[slot] = self._come(slot)
        wait(self._workers)

    def close(self) -> None:
        for timer in self._timers:
            timer.join()
        self._hands.shutdown()
        self.lab.close()

    def _come(self, slot: int, faults: Sequence[dict[str, Any]] = ()) -> Future[Process]:
        return self._hands.submit(self._worker, slot, faults)

    def _worker(self, slot: int, faults: Sequence[dict[str, Any]]) -> Process:
        home = self._system.data_dir
        if self._system.backend != "embedded":
            home = home.with_name(f"machine{slot}")
        return self.lab.worker(
            self._simulators[slot % SIMULATORS],
            worker_id=f"chaos{slot}",
            faults=faults,
            env={"COMFYQ_DATA_DIR": str(home)},
        )

    def _replace(self, end: Callable[[Process], None]) -> None:
        """End a worker; another process of its name comes while the chaos goes on."""
        slot, rules = self._random.randrange(WORKERS), self._rules()
        if not self._workers[slot].done():
            return  # it is on its way
        worker = self._workers[slot].result()
        worker.signal(signal.SIGCONT)
        end(worker)

        def succeed() -> Process:
            until(lambda: worker.code is not None, "it has ended", within_s=60)
            return self._worker(slot, rules)

        self._workers[slot] = self._hands.submit(succeed)

    def _freeze(self) -> None:
        chosen = self._random.choice(self._workers)
        if chosen.done():
            worker = chosen.result()
            worker.signal(signal.SIGSTOP)
            self._later(FROZEN_S, lambda: worker.signal(signal.SIGCONT))

    def _double(self, waiting: Sequence[str]) -> None:
        doubled = self._random.sample(waiting, k=min(DOUBLED, len(waiting)))
        with Doorbells(self.up.exports) as bells, suppress(Unavailable):
            for job_id in doubled:
                bells.ring(job_id)

    def _drop(self) -> None:
        with Doorbells(self.up.exports) as bells, suppress(Unavailable):
            for delivery in bells.take_any(DROPPED):
                bells.lose(delivery)

    def _outage(self) -> None:
        """Of the emulator's services; the embedded backend's outages are the workers' rules."""
        service, deed = self._random.choice(SERVICES), self._random.choice(DEEDS)
        share = self._random.choice((0.3, 1.0))
        if self._system.backend == "emulator":
            self._system.proxy.break_(Fault(service, deed, share=share))
            self._later(OUTAGE_S, self._system.proxy.heal)

    def _kill_api(self) -> None:
        """It comes back at the same address; whoever followed through it has to come again."""
        port = int(self.up.url.rpartition(":")[2])
        self.up.kill()
        if self._system.backend == "emulator":
            self._system.proxy.heal()  # it makes sure of its table before it serves
        self.up = self._system.up(port=port)

    def _rules(self) -> Sequence[dict[str, Any]]:
        """Calls of a worker's ports that will fail, or whose answers will be lost."""
        return [self._rule() for _ in range(self._random.randrange(RULES + 1))]

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

    def _later(self, range_s: tuple[float, float], end: Callable[[], None]) -> None:
        """End a fault after a time, whatever this thread waits for then."""
        timer = Timer(self._random.uniform(*range_s), end)
        self._timers.append(timer)
        timer.start()
