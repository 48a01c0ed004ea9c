"""The parts of one worker around its jobs; each is made at its first use."""

from collections.abc import Sequence
from functools import cached_property

from comfyq.bootstrap.worker_ports import MachinePorts
from comfyq.bootstrap.workers.job_parts import JobServices
from comfyq.edges.worker.attempts import Attempts
from comfyq.edges.worker.catalogue_watch import CatalogueWatch
from comfyq.edges.worker.engine_repair import EngineRepair
from comfyq.edges.worker.engine_watch import EngineWatch
from comfyq.edges.worker.heartbeat import Heartbeat, Identity
from comfyq.edges.worker.idle_unload import IdleUnload
from comfyq.edges.worker.job_source import JobSource
from comfyq.edges.worker.prompt_slots import PromptSlots
from comfyq.edges.worker.readiness import Readiness
from comfyq.edges.worker.space_watch import SpaceWatch
from comfyq.edges.worker.stop_protection import StopProtection
from comfyq.edges.worker.unstopped_watch import UnstoppedWatch
from comfyq.edges.worker.warm_up import WarmUp
from comfyq.edges.worker.worker import Companion, Worker
from comfyq.records.catalogues import CatalogueRecords
from comfyq.services.worker.choice.affinity import Affinity
from comfyq.services.worker.idle.warm_run import WarmRuns
from comfyq.services.worker.losses.orphaned_prompts import OrphanedPrompts
from comfyq.services.worker.output_retry import OutputRetry
from comfyq.services.workflows.node_catalogues import CataloguePublisher

ENGINE_LOOK_S = 5.0  # between two checks that ComfyUI answers


class WorkerServices:
    """The worker itself, around its job services."""

    def __init__(
        self, jobs: JobServices, machine: MachinePorts, *, host: str, pid: int, version: str
    ) -> None:
        self.jobs = jobs
        self.machine = machine
        fetches = jobs.ports.models is not None
        self.identity = Identity(jobs.worker, host, pid, version, fetches, machine.environment)
        self.services = jobs.services
        self.settings = jobs.services.settings.worker

    @cached_property
    def engine_watch(self) -> EngineWatch:
        return EngineWatch(
            self.jobs.ports.comfyui,
            membership=self.jobs.membership,
            before_claims=self.jobs.losses.settle,
            period_s=ENGINE_LOOK_S,
        )

    @cached_property
    def readiness(self) -> Readiness:
        unstopped = UnstoppedWatch(
            self.jobs.stopper, engine_watch=self.engine_watch, clock=self.services.ports.clock
        )
        return Readiness(
            engine=self.engine_watch, space=SpaceWatch(self.machine.space), unstopped=unstopped
        )

    @cached_property
    def catalogue(self) -> CatalogueWatch:
        publisher = CataloguePublisher(
            source=self.jobs.capabilities,
            records=CatalogueRecords(self.services.ports.table),
            assets=self.services.ports.assets,
            spool=self.machine.catalogue_spool,
            clock=self.services.ports.clock,
            fetches=self.identity.fetches,
        )
        return CatalogueWatch(publisher, watch=self.engine_watch)

    @cached_property
    def heartbeat(self) -> Heartbeat:
        return Heartbeat(
            self.identity,
            records=self.services.workers,
            membership=self.jobs.membership,
            readiness=self.readiness,
            catalogue=self.catalogue,
            models=self.jobs.ports.held_models,
            clock=self.services.ports.clock,
            period_s=self.settings.beat_s,
        )

    @cached_property
    def affinity(self) -> Affinity:
        return Affinity(max_wait_s=self.settings.affinity_max_wait_s)

    @cached_property
    def warm_runs(self) -> WarmRuns:
        return WarmRuns(
            workflows=lambda: self.services.workflows,  # a worker may have none
            engine=self.jobs.ports.comfyui,
            capabilities=self.jobs.capabilities,
            disk_cleanup=self.jobs.ports.disk_cleanup,
        )

    @property
    def idle_companions(self) -> Sequence[Companion]:
        """Return what uses, or empties, a GPU that has no job."""
        heartbeat, settings = self.heartbeat, self.settings
        warm = WarmUp(self.warm_runs, readiness=self.readiness, is_busy=lambda: heartbeat.busy)
        if settings.unload_idle_s is None:
            return [warm]
        unload = IdleUnload(
            self.machine.caretaker,
            is_busy=lambda: heartbeat.busy,
            uses=lambda: heartbeat.taken + self.warm_runs.count,
            on_unload=self._note_unloaded,
            idle_s=settings.unload_idle_s,
        )
        return [warm, unload]

    def _note_unloaded(self) -> None:
        self.heartbeat.unload()
        self.affinity.family = None

    @cached_property
    def source(self) -> JobSource:
        affinity = self.affinity
        return JobSource(
            claims=self.jobs.claims,
            queue=self.services.ports.queue,
            turns=self.jobs.turns(affinity if self.settings.affinity else None),
            wait_s=self.settings.wait_s,
            may_claim=lambda: (
                self.readiness.ok and self.heartbeat.shows_engine and self.attempts.has_room
            ),
            aside=self.jobs.aside,
        )

    @cached_property
    def attempts(self) -> Attempts:
        return Attempts(
            executor=self.jobs.executor,
            slots=PromptSlots(self.settings.depth, preparing=self.settings.preparing),
            heartbeat=self.heartbeat,
            repair=EngineRepair(caretaker=self.machine.caretaker, readiness=self.readiness),
        )

    @property
    def companions(self) -> Sequence[Companion]:
        """Return the worker's background tasks."""
        output_retry = OutputRetry(
            records=self.services.records,
            assets=self.services.ports.assets,
            spool=self.jobs.ports.spool,
            clock=self.services.ports.clock,
            timing=self.jobs.timing,
        )
        orphaned_prompts = OrphanedPrompts(
            records=self.services.records, claims=self.jobs.claims, stopper=self.jobs.stopper
        )
        others: list[Companion] = [
            self.catalogue,
            self.jobs.aside,
            output_retry,
            orphaned_prompts,
            self.jobs.run_times,
            *self.idle_companions,
        ]
        optional = (self.jobs.ports.held_models, self.jobs.fetch_ahead(self._is_full))
        others += [each for each in optional if each is not None]
        if self.machine.protection is None:
            return others
        heartbeat = self.heartbeat
        return [*others, StopProtection(self.machine.protection, busy=lambda: heartbeat.busy)]

    def _is_full(self) -> bool:
        """Return whether ComfyUI works, and has no room now for another prompt."""
        is_going_on = self.readiness.ok and not self.heartbeat.is_draining
        return is_going_on and not self.attempts.has_room

    @cached_property
    def worker(self) -> Worker:
        return Worker(
            source=self.source,
            attempts=self.attempts,
            readiness=self.readiness,
            heartbeat=self.heartbeat,
            companions=self.companions,
            drain_s=self.settings.drain_s,
        )
