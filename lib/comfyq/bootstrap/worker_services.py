"""The parts of one worker, over its own ports; each is made at its first use."""

from collections.abc import Sequence
from functools import cached_property

from comfyq.bootstrap.services import Services
from comfyq.bootstrap.worker_ports import MachinePorts, WorkerPorts
from comfyq.bootstrap.workers.membership import membership_of
from comfyq.bootstrap.workers.reporting import previews_of, reporting_of
from comfyq.domain.job import WorkerId
from comfyq.edges.worker.attempts import Attempts
from comfyq.edges.worker.catalogue_watch import CatalogueWatch
from comfyq.edges.worker.engine_repair import EngineRepair
from comfyq.edges.worker.engine_watch import EngineWatch
from comfyq.edges.worker.heartbeat import Heartbeat, Identity
from comfyq.edges.worker.job_source import JobSource
from comfyq.edges.worker.prompt_slots import PromptSlots
from comfyq.edges.worker.readiness import Readiness
from comfyq.edges.worker.space_watch import SpaceWatch
from comfyq.edges.worker.stop_protection import StopProtection
from comfyq.edges.worker.unstopped_watch import UnstoppedWatch
from comfyq.edges.worker.worker import Companion, Worker
from comfyq.records.catalogues import CatalogueRecords
from comfyq.records.indexes.aside_jobs import AsideRecords
from comfyq.records.workers import KEPT_S
from comfyq.services.worker.capabilities import Capabilities
from comfyq.services.worker.choice.affinity import Affinity
from comfyq.services.worker.choice.aside_jobs import AsideJobs
from comfyq.services.worker.choice.ready_jobs import ReadyJobs
from comfyq.services.worker.choice.turns import Turns
from comfyq.services.worker.claims import Claims
from comfyq.services.worker.conclusion import Conclusion
from comfyq.services.worker.executor import Executor
from comfyq.services.worker.input_files import InputPreparer
from comfyq.services.worker.last_look import LastLook
from comfyq.services.worker.losses.engine_losses import EngineLosses
from comfyq.services.worker.losses.orphaned_prompts import OrphanedPrompts
from comfyq.services.worker.membership import Membership
from comfyq.services.worker.output_files import OutputCollector
from comfyq.services.worker.output_retry import OutputRetry
from comfyq.services.worker.prompt_stopper import PromptStopper
from comfyq.services.worker.renderer import Renderer
from comfyq.services.worker.reporting.run_times import RunTimes
from comfyq.services.workflows.node_catalogues import CataloguePublisher

ENGINE_LOOK_S = 5.0  # between two checks that ComfyUI answers


class JobServices:
    """The parts that run claimed jobs."""

    def __init__(self, services: Services, ports: WorkerPorts, *, worker: WorkerId) -> None:
        self.services = services
        self.ports = ports
        self.worker = worker
        self.timing = services.settings.timing

    @cached_property
    def capabilities(self) -> Capabilities:
        return Capabilities(self.ports.comfyui)

    @cached_property
    def aside(self) -> AsideJobs:
        return AsideJobs(
            aside=AsideRecords(self.services.ports.table),
            records=self.services.records,
            capabilities=self.capabilities,
            clock=self.services.ports.clock,
        )

    @cached_property
    def stopper(self) -> PromptStopper:
        return PromptStopper(self.ports.comfyui, timing=self.timing)

    @cached_property
    def membership(self) -> Membership:
        return membership_of(self.services, self.worker)

    @cached_property
    def claims(self) -> Claims:
        return Claims(
            membership=self.membership,
            records=self.services.records,
            queue=self.services.ports.queue,
            journal=self.ports.journal,
            capabilities=self.capabilities,
            announcer=self.services.announcer,
            clock=self.services.ports.clock,
            timing=self.timing,
        )

    def turns(self, affinity: Affinity | None) -> Turns:
        clock = self.services.ports.clock
        ready = ReadyJobs(
            ready=self.services.ready,
            demand=self.services.demand,
            clock=clock,
            running=self.services.running_jobs,
        )
        return Turns(ready=ready, affinity=affinity, clock=clock)

    @cached_property
    def preparer(self) -> InputPreparer:
        return InputPreparer(
            folder=self.ports.comfyui,
            fetcher=self.ports.fetcher,
            pictures=self.ports.pictures,
            records=self.services.assets,
            assets=self.services.ports.assets,
            limits=self.services.settings.limits.inputs,
            disk_cleanup=self.ports.disk_cleanup,
        )

    @cached_property
    def last_look(self) -> LastLook:
        settings = self.services.settings
        # A worker that is not told whether clients sign in leaves that to the API, which knows.
        rules = settings.limits.node_rules if settings.api.auth is None else settings.node_rules
        return LastLook(capabilities=self.capabilities, rules=rules)

    @cached_property
    def renderer(self) -> Renderer:
        return Renderer(
            engine=self.ports.comfyui,
            membership=self.membership,
            stopper=self.stopper,
            last_look=self.last_look,
            preparer=self.preparer,
            reporting=reporting_of(self.services, self.run_times),
            previews=previews_of(self.services, self.ports),
            partner_keys=self.services.partner_keys,
        )

    @cached_property
    def losses(self) -> EngineLosses:
        return EngineLosses(
            engine=self.ports.comfyui,
            records=self.services.records,
            announcer=self.services.announcer,
        )

    @cached_property
    def collector(self) -> OutputCollector:
        return OutputCollector(
            engine=self.ports.comfyui,
            assets=self.services.ports.assets,
            spool=self.ports.spool,
            timing=self.timing,
        )

    @cached_property
    def run_times(self) -> RunTimes:
        return RunTimes(records=self.services.run_times)

    @cached_property
    def conclusion(self) -> Conclusion:
        return Conclusion(
            records=self.services.records,
            claims=self.claims,
            renderer=self.renderer,
            collector=self.collector,
            announcer=self.services.announcer,
            run_times=self.run_times,
            clock=self.services.ports.clock,
            disk_cleanup=self.ports.disk_cleanup,
        )

    @cached_property
    def executor(self) -> Executor:
        return Executor(
            records=self.services.records,
            renderer=self.renderer,
            collector=self.collector,
            result_cache=self.services.reuse,
            conclusion=self.conclusion,
            losses=self.losses,
            timing=self.timing,
        )


class WorkerServices:
    """The worker itself, around its job services."""

    def __init__(
        self, jobs: JobServices, machine: MachinePorts, *, host: str, pid: int, version: str
    ) -> None:
        self.jobs = jobs
        self.machine = machine
        self.identity = Identity(jobs.worker, host=host, pid=pid, version=version)
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
            clock=self.services.ports.clock,
            period_s=self.settings.beat_s,
            ttl_s=KEPT_S,
        )

    @cached_property
    def source(self) -> JobSource:
        affinity = Affinity(max_wait_s=self.settings.affinity_max_wait_s)
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
        ]
        if self.machine.protection is None:
            return others
        heartbeat = self.heartbeat
        return [*others, StopProtection(self.machine.protection, busy=lambda: heartbeat.busy)]

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
