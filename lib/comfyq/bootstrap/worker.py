"""A worker and its parts: one ComfyUI, one identity, one folder of its own."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from socket import gethostname

import structlog

from comfyq import __version__
from comfyq.adapters.comfyui.caretaker import ComfyCaretaker
from comfyq.adapters.comfyui.engine import ComfyEngine
from comfyq.adapters.comfyui.timing import EngineTiming
from comfyq.adapters.ecs.protection import EcsProtection
from comfyq.adapters.fetching.addresses import Allowed
from comfyq.adapters.fetching.fetcher import HttpFetcher
from comfyq.adapters.filesystem.folders import ComfyFolders, NotComfyUI
from comfyq.adapters.filesystem.journal import FileJournal
from comfyq.adapters.filesystem.spool import FileSpool
from comfyq.adapters.pictures.pillow import PillowPictures
from comfyq.bootstrap.disks import folders_of, space_of, tidier_of
from comfyq.bootstrap.identity import OwnFolder, dead_workers, take_identity
from comfyq.bootstrap.services import Services
from comfyq.config import Settings
from comfyq.edges.worker.catalogue_watch import CatalogueWatch
from comfyq.edges.worker.engine_watch import EngineWatch
from comfyq.edges.worker.gate import Gate
from comfyq.edges.worker.guard import Guard
from comfyq.edges.worker.heart import Heart, Identity
from comfyq.edges.worker.space_watch import SpaceWatch
from comfyq.edges.worker.unstopped_watch import UnstoppedWatch
from comfyq.edges.worker.worker import Worker
from comfyq.ports.caretaker import Caretaker
from comfyq.ports.catalogue import CatalogueSource
from comfyq.ports.inputs import InputFolder
from comfyq.ports.spool import Spool
from comfyq.records.catalogues import CatalogueRecords
from comfyq.services.worker.affinity import Affinity
from comfyq.services.worker.capabilities import Capabilities
from comfyq.services.worker.claims import Claims
from comfyq.services.worker.disk_cleanup import DiskCleanup
from comfyq.services.worker.executor import Executor
from comfyq.services.worker.input_files import InputPreparer
from comfyq.services.worker.orphaned_prompts import OrphanedPrompts
from comfyq.services.worker.output_files import OutputCollector
from comfyq.services.worker.output_retry import OutputRetry
from comfyq.services.worker.prompt_stopper import PromptStopper
from comfyq.services.worker.renderer import Renderer
from comfyq.services.worker.run_times import RunTimes
from comfyq.services.workflows.node_catalogues import CataloguePublisher

__all__ = ["NotComfyUI", "evict_dead_workers", "open_worker"]

log = structlog.get_logger()

ENGINE_LOOK_S = 5.0  # ComfyUI is asked that often whether it is there


@asynccontextmanager
async def open_worker(
    services: Services,
    *,
    comfyui_url: str,
    engine: str | None = None,
    restart: Callable[[], None] | None = None,
    comfyui_dir: Path | None = None,
) -> AsyncIterator[Worker]:
    """A worker that is ready to ``run``; its id is its own for as long as this is open.

    ``engine`` names a ComfyUI whose URL is not always the same; ``restart`` restarts one that we
    supervise; ``comfyui_dir`` has its folders, where they are on this machine.

    Raises:
        NotComfyUI: they are not in ``comfyui_dir``.
        WorkerIdTaken: another process has the id that the settings want.
    """
    folders = folders_of(services, comfyui_dir)
    own = take_identity(services.settings, engine=engine or comfyui_url)
    try:
        timing = EngineTiming(unavailable_s=services.settings.worker.silent_s)
        async with ComfyEngine(comfyui_url, timing=timing) as comfyui:
            caretaker = ComfyCaretaker(comfyui, restart=restart)
            await _recall(own)
            yield _worker(services, comfyui, caretaker, own, folders)
    finally:
        own.lock.release()


async def evict_dead_workers(services: Services) -> None:
    """End the leases of this machine's workers that are gone; a lock tells it, not a time-out."""
    for dead in dead_workers(services.settings):
        journal = FileJournal(path=dead.journal)
        held = await journal.noted()
        if held:
            log.warning("worker_dead", worker=dead.worker, jobs=held)
            await services.reaper.evict(dead.worker, held)
        for job_id in held:
            await FileJournal(path=dead.left).note(job_id)
            await journal.forget(job_id)


async def _recall(own: OwnFolder) -> None:
    """Note again what was taken from a former process, so that its prompts are looked for."""
    left, journal = FileJournal(path=own.left), FileJournal(path=own.journal)
    for job_id in await left.noted():
        await journal.note(job_id)
        await left.forget(job_id)


def _worker(
    services: Services,
    engine: ComfyEngine,
    caretaker: Caretaker,
    own: OwnFolder,
    folders: ComfyFolders | None,
) -> Worker:
    settings = services.settings
    capabilities = Capabilities(engine, clock=services.ports.clock)
    claims = _claims(services, capabilities, own)
    watch = EngineWatch(engine, period_s=ENGINE_LOOK_S)
    stopper = PromptStopper(engine, timing=settings.timing)
    unstopped = UnstoppedWatch(stopper, engine_watch=watch, clock=services.ports.clock)
    catalogue = CatalogueWatch(_publisher(services, capabilities, own), watch=watch)
    space = space_of(settings, own, folders)
    heart = _heart(services, own, watch, space, unstopped, catalogue)
    spool = FileSpool(folder=own.path / "spool", max_kept_bytes=settings.worker.spool_bytes)
    spool.clear()
    run_times, disk_cleanup = RunTimes(records=services.run_times), tidier_of(folders)
    return Worker(
        claims=claims,
        executor=_executor(
            services, engine, stopper, capabilities, claims, spool, run_times, disk_cleanup
        ),
        queue=services.ports.queue,
        gate=Gate(settings.worker.depth),
        watch=watch,
        space=space,
        unstopped=unstopped,
        heart=heart,
        caretaker=caretaker,
        affinity=_affinity(services, capabilities) if settings.worker.affinity else None,
        output_retry=_output_retry(services, spool),
        orphaned_prompts=OrphanedPrompts(records=services.records, claims=claims, stopper=stopper),
        run_times=run_times,
        wait_s=settings.worker.wait_s,
        drain_s=settings.worker.drain_s,
        guard=_guard(settings, heart),
        catalogue=catalogue,
    )


def _claims(services: Services, capabilities: Capabilities, own: OwnFolder) -> Claims:
    return Claims(
        worker=own.worker,
        records=services.records,
        queue=services.ports.queue,
        journal=FileJournal(path=own.journal),
        capabilities=capabilities,
        announcer=services.announcer,
        clock=services.ports.clock,
        timing=services.settings.timing,
    )


def _output_retry(services: Services, spool: Spool) -> OutputRetry:
    return OutputRetry(
        records=services.records,
        assets=services.ports.assets,
        spool=spool,
        clock=services.ports.clock,
        timing=services.settings.timing,
    )


def _publisher(services: Services, source: CatalogueSource, own: OwnFolder) -> CataloguePublisher:
    return CataloguePublisher(
        source=source,
        records=CatalogueRecords(services.ports.table),
        assets=services.ports.assets,
        spool=FileSpool(folder=own.path / "catalogues"),
        clock=services.ports.clock,
    )


def _guard(settings: Settings, heart: Heart) -> Guard | None:
    if settings.worker.ecs_agent_uri is None:
        return None
    protection = EcsProtection(agent_uri=settings.worker.ecs_agent_uri)
    return Guard(protection, busy=lambda: heart.busy)


def _heart(
    services: Services,
    own: OwnFolder,
    watch: EngineWatch,
    space: SpaceWatch,
    unstopped: UnstoppedWatch,
    catalogue: CatalogueWatch,
) -> Heart:
    settings = services.settings
    return Heart(
        Identity(own.worker, host=gethostname(), pid=os.getpid(), version=__version__),
        records=services.workers,
        watch=watch,
        space=space,
        unstopped=unstopped,
        catalogue=catalogue,
        clock=services.ports.clock,
        period_s=settings.worker.beat_s,
        ttl_s=int(settings.worker.live_s * 3),
    )


def _affinity(services: Services, capabilities: Capabilities) -> Affinity:
    return Affinity(
        records=services.records,
        families=services.families,
        capabilities=capabilities,
        clock=services.ports.clock,
        max_wait_s=services.settings.worker.affinity_max_wait_s,
    )


def _preparer(
    services: Services, folder: InputFolder, disk_cleanup: DiskCleanup | None
) -> InputPreparer:
    settings = services.settings
    allowed = Allowed.of(settings.limits.input_allow.split(","))
    return InputPreparer(
        folder=folder,
        fetcher=HttpFetcher(allowed=allowed),
        pictures=PillowPictures(),
        records=services.assets,
        assets=services.ports.assets,
        max_bytes=settings.limits.input_max_bytes,
        disk_cleanup=disk_cleanup,
    )


def _executor(
    services: Services,
    engine: ComfyEngine,
    stopper: PromptStopper,
    capabilities: Capabilities,
    claims: Claims,
    spool: Spool,
    run_times: RunTimes,
    disk_cleanup: DiskCleanup | None,
) -> Executor:
    timing, clock = services.settings.timing, services.ports.clock
    return Executor(
        records=services.records,
        claims=claims,
        renderer=Renderer(
            engine=engine,
            stopper=stopper,
            capabilities=capabilities,
            preparer=_preparer(services, engine, disk_cleanup),
            announcer=services.announcer,
            subscriptions=services.followers,
            timing=timing,
        ),
        collector=OutputCollector(
            engine=engine,
            assets=services.ports.assets,
            spool=spool,
            timing=timing,
        ),
        announcer=services.announcer,
        run_times=run_times,
        reuse=services.reuse,
        clock=clock,
        timing=timing,
        disk_cleanup=disk_cleanup,
    )
