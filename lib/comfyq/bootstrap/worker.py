"""A worker and its parts: one ComfyUI, one identity, one folder of its own."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from socket import gethostname

from comfyq import __version__
from comfyq.adapters.comfyui.caretaker import ComfyCaretaker
from comfyq.adapters.comfyui.engine import ComfyEngine
from comfyq.adapters.comfyui.timing import EngineTiming
from comfyq.adapters.ecs.protection import EcsProtection
from comfyq.adapters.fetching.fetcher import HttpFetcher
from comfyq.adapters.filesystem.folders import ComfyFolders, NotComfyUI
from comfyq.adapters.filesystem.journal import FileJournal
from comfyq.adapters.filesystem.lock import PROBE_S
from comfyq.adapters.filesystem.spool import FileSpool
from comfyq.adapters.pictures.pillow import PillowPictures
from comfyq.adapters.pictures.previews import PillowPreviews
from comfyq.aio.logs import log
from comfyq.bootstrap.disks import disk_cleanup_of, folders_of, space_of
from comfyq.bootstrap.environments.worker_environment import environment_of
from comfyq.bootstrap.identity import OwnFolder, any_shown, dead_workers, take_identity
from comfyq.bootstrap.models.services import ModelServices
from comfyq.bootstrap.services import Services
from comfyq.bootstrap.worker_ports import MachinePorts, WorkerPorts
from comfyq.bootstrap.worker_services import WorkerServices
from comfyq.bootstrap.workers.job_parts import JobServices
from comfyq.bootstrap.workers.membership import admit
from comfyq.bootstrap.workers.preparation import held_models_of, worker_models
from comfyq.domain.errors import Unavailable
from comfyq.domain.files.fetch_exceptions import allowed_entries
from comfyq.domain.public_addresses import Allowed
from comfyq.edges.worker.worker import Worker
from comfyq.ports.caretaker import Caretaker
from comfyq.services.models.held_models import HeldModels

__all__ = ["NotComfyUI", "evict_dead_workers", "open_worker", "remove_dead_workers"]


@asynccontextmanager
async def open_worker(
    services: Services,
    *,
    comfyui_url: str,
    engine: str | None = None,
    restart: Callable[[], None] | None = None,
    comfyui_dir: Path | None = None,
) -> AsyncIterator[Worker]:
    """Yield a worker that is ready to ``run``; its id is locked until the context ends.

    ``engine`` is a stable name for a ComfyUI whose URL changes; ``restart`` restarts a supervised
    ComfyUI; ``comfyui_dir`` is ComfyUI's directory if it is on this machine.

    Raises:
        NotComfyUI: ``comfyui_dir`` lacks ComfyUI's folders.
        MissingSetting: models are to be fetched, and no folder is named for them.
        NotAdmitted: ComfyUI is a simulator and the jobs are for real ones, or the reverse.
        WorkerIdTaken: another process runs under the id of the settings.
    """
    folders = folders_of(services, comfyui_dir)
    models = worker_models(services.settings, comfyui_dir)
    held = held_models_of(services.settings, comfyui_dir, models)
    environment = await asyncio.to_thread(environment_of, services.settings, comfyui_dir)
    own = take_identity(services.settings, engine=engine or comfyui_url)
    try:
        timing = EngineTiming(unavailable_s=services.settings.worker.silent_s)
        method = services.settings.worker.preview_method
        async with ComfyEngine(comfyui_url, timing=timing, preview_method=method) as comfyui:
            caretaker = ComfyCaretaker(comfyui, restart=restart)
            worker_services = _worker_services(
                services, comfyui, caretaker, own, folders, models, held, environment
            )
            await admit(worker_services.jobs.membership, comfyui, url=comfyui_url)
            await _recall(own)
            try:
                yield worker_services.worker
            finally:
                await services.batch_news.tell_put_off()
    finally:
        own.lock.release()


async def remove_dead_workers(services: Services) -> None:
    """Mark this machine's dead workers as ended, so that they do not count as live.

    Their leases are not ended: a worker that is about to start may be one of them.
    """
    try:
        for dead in dead_workers(services.settings):
            await _mark_ended(services, dead)
        if any_shown(services.settings):
            # A worker runs, or another process ends one at this moment and so holds its lock.
            await asyncio.sleep(PROBE_S)
            for dead in dead_workers(services.settings):
                await _mark_ended(services, dead)
    except Unavailable as away:  # then they count as live until their heartbeats are old
        log.warning("dead_workers_kept", reason=str(away))


async def evict_dead_workers(services: Services) -> None:
    """Mark this machine's dead workers as ended, and end their leases; a free lock proves that a
    worker is dead."""
    for dead in dead_workers(services.settings):
        await _mark_ended(services, dead)
        journal = FileJournal(path=dead.journal)
        held = await journal.noted()
        if held:
            log.warning("worker_dead", worker=dead.worker, jobs=held)
            await services.reaper.evict(dead.worker, held)
        for job_id in held:
            await FileJournal(path=dead.left).note(job_id)
            await journal.forget(job_id)


async def _mark_ended(services: Services, dead: OwnFolder) -> None:
    if dead.shown.exists():
        await services.workers.end(dead.worker)
        dead.shown.unlink()


async def _recall(own: OwnFolder) -> None:
    """Add jobs that were taken from a former process to the journal, so that their prompts are
    looked for in ComfyUI."""
    left, journal = FileJournal(path=own.left), FileJournal(path=own.journal)
    for job_id in await left.noted():
        await journal.note(job_id)
        await left.forget(job_id)


def _worker_services(
    services: Services,
    comfyui: ComfyEngine,
    caretaker: Caretaker,
    own: OwnFolder,
    folders: ComfyFolders | None,
    models: ModelServices | None,
    held_models: HeldModels | None,
    environment: str | None,
) -> WorkerServices:
    settings = services.settings
    spool = FileSpool(folder=own.path / "spool", max_kept_bytes=settings.worker.spool_bytes)
    spool.clear()
    allowed = Allowed.of(allowed_entries(settings.limits.input_allow))
    ports = WorkerPorts(
        comfyui=comfyui,
        journal=FileJournal(path=own.journal),
        spool=spool,
        fetcher=HttpFetcher(allowed=allowed),
        pictures=PillowPictures(),
        previews=PillowPreviews(),
        disk_cleanup=disk_cleanup_of(folders),
        models=models,
        held_models=held_models,
    )
    agent_uri = settings.worker.ecs_agent_uri
    machine = MachinePorts(
        caretaker=caretaker,
        space=space_of(settings, folders),
        catalogue_spool=FileSpool(folder=own.path / "catalogues"),
        environment=environment,
        protection=None if agent_uri is None else EcsProtection(agent_uri=agent_uri),
    )
    jobs = JobServices(services, ports, worker=own.worker)
    return WorkerServices(jobs, machine, host=gethostname(), pid=os.getpid(), version=__version__)
