"""The state of the whole deployment in numbers, read from its table when somebody asks."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from comfyq.aio.tasks import limited
from comfyq.ports.clock import Clock
from comfyq.records.demand import DemandRecords
from comfyq.records.indexes.ready_jobs import ReadyRecords
from comfyq.records.indexes.waiting_jobs import WaitingRecords
from comfyq.records.workers import WorkerRecords
from comfyq.services.notify.receiver_watch import ReceiverWatch
from comfyq.telemetry.metrics import OTHER, Gauge

MOST = 10_000  # jobs of a family that are counted, tenant by tenant
AT_ONCE = 4  # families that are read at the same time


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyBacklog:
    """The jobs of a model family that any worker may claim."""

    waiting: int
    oldest_s: float  # how long one of those counted has waited at most; 0 if there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklogReport:
    families: Mapping[str, FamilyBacklog]
    aside: int  # jobs set aside
    held: int  # jobs that live workers hold, running or next
    live: int  # workers
    ready: int  # those of them that take jobs
    paused_receivers: int  # of webhooks, of all tenants

    def gauges(self) -> Sequence[Gauge]:
        """Return the report as metrics, which every process of the deployment has alike."""
        waiting = Gauge(
            "comfyq_jobs_waiting",
            f"Jobs that wait, by the models that they need; up to {MOST:,} of each are counted.",
            "family",
        )
        oldest = Gauge(
            "comfyq_oldest_waiting_seconds",
            "Seconds that the oldest of those which are counted has waited.",
            "family",
        )
        for name, family in self.families.items():
            waiting.add(name, by=family.waiting)
            oldest.add(name, by=family.oldest_s)
        others = {
            "comfyq_jobs_aside": (
                "Jobs that no live worker is able to run, or that are left to those who hold their "
                "models.",
                self.aside,
            ),
            "comfyq_jobs_held": ("Jobs that live workers hold, running or next.", self.held),
            "comfyq_workers_live": ("Workers that gave a sign of life.", self.live),
            "comfyq_workers_ready": ("Those of them that take jobs.", self.ready),
            "comfyq_webhook_receivers_paused": (
                "Receivers of webhooks, of all tenants, to which nothing has arrived for days.",
                self.paused_receivers,
            ),
        }
        gauges = [waiting, oldest]
        for name, (text, value) in others.items():
            gauges.append(Gauge(name, text))
            gauges[-1].add(by=value)
        return gauges


class Backlog:
    """Count waiting jobs by family, and workers.

    A client's graph may name any model, so families that no workflow has are counted together.
    """

    def __init__(
        self,
        *,
        demand: DemandRecords,
        ready: ReadyRecords,
        waiting: WaitingRecords,
        workers: WorkerRecords,
        receivers: ReceiverWatch,
        named: Callable[[], Collection[str]],
        clock: Clock,
    ) -> None:
        self._demand = demand
        self._ready = ready
        self._waiting = waiting
        self._workers = workers
        self._receivers = receivers
        self._named = named
        self._clock = clock

    async def report(self) -> BacklogReport:
        """Read the state; raises TableUnavailable. It reads the index entries of up to MOST jobs of
        each family, whole on one machine."""
        named = self._named()
        families = {name: FamilyBacklog(waiting=0, oldest_s=0.0) for name in named}
        counted = await limited(AT_ONCE, await self._demand.families(), self._of)
        for family, read in counted.items():
            name = family if family in named else OTHER
            before = families.get(name, FamilyBacklog(waiting=0, oldest_s=0.0))
            families[name] = FamilyBacklog(
                waiting=before.waiting + read.waiting, oldest_s=max(before.oldest_s, read.oldest_s)
            )
        live = await self._workers.live()
        return BacklogReport(
            families=families,
            aside=await self._waiting.count_aside(most=MOST),
            held=sum(len(worker.jobs) for worker in live),
            live=len(live),
            ready=sum(worker.takes_jobs for worker in live),
            paused_receivers=await self._receivers.paused(),
        )

    async def _of(self, family: str) -> FamilyBacklog:
        count, since = await self._ready.tally(family, most=MOST)
        waited_s = 0.0 if since is None else (self._clock.now() - since) / timedelta(seconds=1)
        return FamilyBacklog(waiting=count, oldest_s=max(0.0, waited_s))
