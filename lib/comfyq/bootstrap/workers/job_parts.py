"""The parts that run a worker's jobs, over its own ports; each is made at its first use."""

from collections.abc import Callable
from functools import cached_property

from comfyq.bootstrap.services import Services
from comfyq.bootstrap.worker_ports import WorkerPorts
from comfyq.bootstrap.workers.membership import membership_of
from comfyq.bootstrap.workers.preparation import policy_of, provisioner_of
from comfyq.bootstrap.workers.reporting import previews_of, reporting_of
from comfyq.domain.job import WorkerId
from comfyq.records.indexes.aside_jobs import AsideRecords
from comfyq.services.files.job_files import JobFiles
from comfyq.services.models.fetch_policy import FetchPolicy
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
from comfyq.services.worker.membership import Membership
from comfyq.services.worker.output_files import OutputCollector
from comfyq.services.worker.preparation import Preparation
from comfyq.services.worker.prompt_stopper import PromptStopper
from comfyq.services.worker.provisioning.fetch_ahead import FetchAhead
from comfyq.services.worker.provisioning.provisioner import Provisioner
from comfyq.services.worker.renderer import Renderer
from comfyq.services.worker.reporting.reporter import Reporting
from comfyq.services.worker.reporting.run_times import RunTimes


class JobServices:
    """The parts that run claimed jobs."""

    def __init__(self, services: Services, ports: WorkerPorts, *, worker: WorkerId) -> None:
        self.services = services
        self.ports = ports
        self.worker = worker
        self.timing = services.settings.timing

    @cached_property
    def fetch_policy(self) -> FetchPolicy | None:
        return policy_of(self.ports.models, self.services, self.worker)

    @cached_property
    def capabilities(self) -> Capabilities:
        return Capabilities(self.ports.comfyui, self.fetch_policy)

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
        return Turns(ready=self._ready_jobs(), affinity=affinity, clock=clock)

    def _ready_jobs(self) -> ReadyJobs:
        return ReadyJobs(
            ready=self.services.ready,
            demand=self.services.demand,
            clock=self.services.ports.clock,
            running=self.services.running_jobs,
        )

    @cached_property
    def preparer(self) -> InputPreparer:
        return InputPreparer(
            folder=self.ports.comfyui,
            fetcher=self.ports.fetcher,
            pictures=self.ports.pictures,
            files=JobFiles(records=self.services.assets, outputs=self.services.job_outputs),
            assets=self.services.ports.assets,
            limits=self.services.settings.limits.inputs,
            disk_cleanup=self.ports.disk_cleanup,
        )

    @cached_property
    def reporting(self) -> Reporting:
        return reporting_of(self.services, self.run_times)

    @cached_property
    def provisioner(self) -> Provisioner | None:
        return provisioner_of(
            self.ports.models,
            self.fetch_policy,
            capabilities=self.capabilities,
            reporting=self.reporting,
        )

    def fetch_ahead(self, is_busy: Callable[[], bool]) -> FetchAhead | None:
        """Return what fetches models of waiting jobs while ``is_busy``; None: nothing does."""
        if self.fetch_policy is None or self.provisioner is None:
            return None
        return FetchAhead(
            ready=self._ready_jobs(),
            aside=self.aside,
            records=self.services.records,
            capabilities=self.capabilities,
            policy=self.fetch_policy,
            provisioner=self.provisioner,
            is_busy=is_busy,
        )

    @cached_property
    def preparation(self) -> Preparation:
        return Preparation(inputs=self.preparer, provisioner=self.provisioner)

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
            preparation=self.preparation,
            reporting=self.reporting,
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
