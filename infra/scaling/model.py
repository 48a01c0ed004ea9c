"""A discrete-event model of the pool: what jobs wait, and what idle workers cost.

Workers hold ``depth`` jobs and run one. The alarms see the queue as it was a period ago, which is
how long SQS's metrics take. A spot instance that is taken away drains: its running job ends within
``drain_s`` or begins anew elsewhere, and ECS asks for another instance.
"""

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from infra.scaling.policy import Policy

SPOT_NOTICE_S = 120.0


@dataclass(frozen=True)
class World:
    """The facts that the template does not decide."""

    boot_s: tuple[float, float] = (180.0, 420.0)  # from asking for a worker to its first job
    spot_mean_s: float | None = None  # a spot instance's life; None: on demand


@dataclass
class Work:
    arrived_at: float
    duration_s: float
    started_at: float | None = None
    ended_at: float | None = None
    lost_s: float = 0.0  # of attempts that were cut off


@dataclass(eq=False)
class Node:
    ready: bool = False
    leaving: bool = False
    running: Work | None = None
    next: Work | None = None  # prefetched: neither visible nor running
    began_at: float = 0.0  # its running job
    end: int = 0  # which of its planned ends counts

    @property
    def held(self) -> int:
        return (self.running is not None) + (self.next is not None)


@dataclass(frozen=True)
class Sample:
    at: float
    waiting: int
    working: int  # nodes with a job
    nodes: int  # that cost money


@dataclass
class Run:
    jobs: list[Work]
    samples: list[Sample] = field(default_factory=list)
    desired: list[tuple[float, int, int]] = field(default_factory=list)  # (at, desired, held jobs)
    node_s: float = 0.0
    lost_nodes: int = 0

    @property
    def waits_s(self) -> list[float]:
        return sorted(
            job.started_at - job.arrived_at for job in self.jobs if job.started_at is not None
        )

    @property
    def work_s(self) -> float:
        return sum(job.duration_s + job.lost_s for job in self.jobs if job.ended_at is not None)


class Pool:
    """One run of the model; equal seeds give equal runs."""

    def __init__(self, policy: Policy, world: World, jobs: Sequence[Work], *, seed: int) -> None:
        self._policy = policy
        self._world = world
        self._random = random.Random(seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._now = 0.0
        self._waiting: deque[Work] = deque()
        self._nodes: list[Node] = []
        self._desired = 0
        self._scaled_at = float("-inf")
        self._last_add = 0
        self._idle = 0
        self._seen = (0, 0)  # (visible, all work) a period ago
        self._left = len(jobs)
        self.run = Run(list(jobs))

    def play(self) -> Run:
        """Until every job has ended and the pool is at zero."""
        for job in self.run.jobs:
            self._at(job.arrived_at, partial(self._arrive, job))
        self._after(self._policy.period_s, self._look)
        while self._events and (self._left or self._nodes):
            at, _, event = heapq.heappop(self._events)
            self.run.node_s += len(self._nodes) * (at - self._now)
            self._now = at
            event()
        return self.run

    def _arrive(self, job: Work) -> None:
        self._waiting.append(job)
        self._deal()

    def _look(self) -> None:
        visible, work = self._seen
        held = sum(node.held for node in self._nodes)
        self._seen = (len(self._waiting), len(self._waiting) + held)
        self._idle = self._idle + 1 if work == 0 else 0
        if self._idle >= self._policy.idle_periods:
            self._scale(0)
        self._scale_out(self._policy.add(visible))
        working = sum(node.running is not None for node in self._nodes)
        self.run.samples.append(Sample(self._now, len(self._waiting), working, len(self._nodes)))
        self._after(self._policy.period_s, self._look)

    def _scale_out(self, add: int) -> None:
        """While it cools down, a larger step adds only what it is larger by."""
        cooling = self._now - self._scaled_at < self._policy.cooldown_s
        more = add - self._last_add if cooling else add
        if more <= 0:
            return
        self._last_add = add
        self._scaled_at = self._now
        self._scale(min(self._desired + more, self._policy.max_workers))

    def _scale(self, desired: int) -> None:
        held = sum(node.held for node in self._nodes)
        self._desired = desired
        self.run.desired.append((self._now, desired, held))
        self._settle()

    def _settle(self) -> None:
        """Start what is missing; stop what is too many, but never a node with a job."""
        staying = [node for node in self._nodes if not node.leaving]
        for _ in range(self._desired - len(staying)):
            self._boot()
        for node in [node for node in staying if not node.held][: len(staying) - self._desired]:
            self._nodes.remove(node)

    def _boot(self) -> None:
        node = Node()
        self._nodes.append(node)
        self._after(self._random.uniform(*self._world.boot_s), lambda: self._ready(node))

    def _ready(self, node: Node) -> None:
        if node not in self._nodes:
            return
        node.ready = True
        if self._world.spot_mean_s is not None:
            life_s = self._random.expovariate(1 / self._world.spot_mean_s)
            self._after(life_s, lambda: self._notice(node))
        self._deal()

    def _deal(self) -> None:
        """Idle nodes first, then a second job for each that runs one."""
        for node in self._nodes:
            if self._waiting and node.ready and not node.leaving and node.running is None:
                self._start(node, self._waiting.popleft())
        for node in self._nodes:
            free = node.ready and not node.leaving and node.held < self._policy.depth
            if self._waiting and free:
                node.next = self._waiting.popleft()

    def _start(self, node: Node, job: Work) -> None:
        node.running = job
        node.end += 1
        if job.started_at is None:
            job.started_at = self._now
        node.began_at, end = self._now, node.end
        self._after(job.duration_s, lambda: self._end(node, end))

    def _end(self, node: Node, end: int) -> None:
        if node.end != end or node.running is None:
            return  # cut off before
        node.running.ended_at = self._now
        node.running = None
        self._left -= 1
        following, node.next = node.next, None
        if following is not None:
            self._start(node, following)
        elif node.leaving:
            self._leave(node)
        self._deal()

    def _notice(self, node: Node) -> None:
        """Give back what has not begun at once; what runs has the drain's time."""
        if node not in self._nodes:
            return
        self.run.lost_nodes += 1
        node.leaving = True
        if node.next is not None:
            self._waiting.appendleft(node.next)
            node.next = None
        if node.running is None:
            self._leave(node)
        else:
            self._after(min(self._policy.drain_s, SPOT_NOTICE_S), lambda: self._cut_off(node))
        self._settle()
        self._deal()

    def _cut_off(self, node: Node) -> None:
        if node not in self._nodes:
            return
        if node.running is not None:
            node.running.lost_s += self._now - node.began_at
            self._waiting.appendleft(node.running)
            node.running = None
            node.end += 1
        self._leave(node)
        self._deal()

    def _leave(self, node: Node) -> None:
        self._nodes.remove(node)

    def _at(self, at: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (at, next(self._order), event))

    def _after(self, delay_s: float, event: Callable[[], None]) -> None:
        self._at(self._now + delay_s, event)
