"""The whole system in one process: API, sockets, reaper and workers."""

import asyncio
from collections import ChainMap
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from comfyq.aio.logs import log
from comfyq.aio.rhythm import until_beat_s
from comfyq.aio.tasks import beside
from comfyq.bootstrap.backends import open_ports
from comfyq.bootstrap.identity import worker_processes
from comfyq.bootstrap.machine.data_check import refuse_damage
from comfyq.bootstrap.machine.output_folders import output_folders
from comfyq.bootstrap.provisioning import provisioned
from comfyq.bootstrap.runtime_file import COMFYUI_URLS, runtime_file
from comfyq.bootstrap.services import Services
from comfyq.bootstrap.telemetry.traces import traced
from comfyq.bootstrap.worker import evict_dead_workers, open_worker, remove_dead_workers
from comfyq.bootstrap.workers.membership import simulator_refused
from comfyq.config import (
    LOOK_ALIKE_ACCESS,
    PROJECT,
    Auth,
    Backend,
    Settings,
    resources_of,
    variables_of,
)
from comfyq.domain.errors import DomainError
from comfyq.edges.worker.worker import Worker
from comfyq.local.application import local_app
from comfyq.local.emulator import Emulator
from comfyq.local.limits.places import affordable
from comfyq.local.private_files import keep_private
from comfyq.local.processes.process_ends import ProcessEnds
from comfyq.local.protocol import RequestLimits
from comfyq.local.serving import serving_app
from comfyq.local.sign_in import can_make_keys, no_key, with_sign_in
from comfyq.local.signals import stop_event
from comfyq.local.supervisor import supervising
from comfyq.local.worker import dir_of, working
from comfyui_simulator import Simulator, SimulatorSettings

EVICT_PERIOD_S = 1.0
EVICT_WATCHED_PERIOD_S = 5.0  # for workers that came since
SIMULATOR = "simulator"
ANYTHING = ("-", "-")  # a key to read, to check that the table answers
EMULATOR_HOME = PROJECT / ".emulator"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1  # for each ComfyUI
    comfyui: Sequence[str] = ()  # base URLs; none: a simulator, if there are workers
    comfyui_command: str | None = None
    insecure: bool = False  # serve others without sign-in


@dataclass(frozen=True, slots=True)
class Up:
    """A running system."""

    url: str
    settings: Settings
    simulated: bool
    comfyui: Sequence[str]
    no_simulator: str | None  # why none was started, where one would have been


@dataclass(frozen=True, slots=True)
class _Engine:
    """A ComfyUI with a stable name; its URL may differ after a restart."""

    name: str
    url: str
    restart: Callable[[], None] | None = None  # where we supervise it
    folders: Path | None = None  # the directory that has them, if it is said


@asynccontextmanager
async def running(settings: Settings, options: UpOptions) -> AsyncIterator[Up]:
    """Start everything; at the end workers drain and everything stops.

    Raises:
        NotSafe, PortTaken, EmulatorError, WorkerIdTaken, SupervisorTaken, NotComfyUI, NotAdmitted,
            MissingSetting: nothing is left running.
        TableUnavailable: the data directory's database cannot be used, or is damaged; nothing is
            left running.
    """
    settings = with_sign_in(settings, host=options.host, insecure=options.insecure)
    async with AsyncExitStack() as stack:
        stack.enter_context(traced(settings.traces, service="comfyq"))
        settings = replace(settings, local=affordable(settings.local))
        settings = await stack.enter_async_context(_backend(settings))
        await asyncio.to_thread(_refuse_unusable, settings)
        ports = open_ports(settings)
        stack.callback(ports.close)
        await ports.prepare()
        if settings.backend is Backend.EMBEDDED:
            await ports.table.get(ANYTHING)  # a file that is no database does not become one
        services = Services(settings, ports)
        await _require_key(services, host=options.host)
        await remove_dead_workers(services)
        missing = await _why_not_simulated(services, options)
        engines = [] if missing else await _engines(stack, settings, options)
        url = await stack.enter_async_context(_served(services, options))
        workers = await _opened(stack, services, engines, each=options.workers)
        stack.enter_context(runtime_file(settings.data_dir, _published(settings, url, options)))
        await stack.enter_async_context(beside(_evict_for_ever(services)))
        await stack.enter_async_context(working(workers))
        yield Up(
            url=url,
            settings=settings,
            simulated=any(each.name == SIMULATOR for each in engines),
            comfyui=[each.url for each in engines],
            no_simulator=missing,
        )


def _refuse_unusable(settings: Settings) -> None:
    """Raise TableUnavailable for a damaged database, MissingSetting for an outputs folder."""
    refuse_damage(settings)
    output_folders(settings)


def _published(settings: Settings, url: str, options: UpOptions) -> dict[str, str]:
    return exports_of(settings, url) | {COMFYUI_URLS: " ".join(options.comfyui)}


async def _require_key(services: Services, *, host: str) -> None:
    """Raise NotSafe if API keys alone let clients in, and there is none."""
    settings = services.settings
    needs_key = settings.api.auth is Auth.KEYS and can_make_keys(settings)
    if needs_key and not await services.api_keys.usable():
        raise no_key(settings, host=host)


def _served(services: Services, options: UpOptions) -> AbstractAsyncContextManager[str]:
    app = local_app(services, names=[options.host])
    return serving_app(
        app,
        host=options.host,
        port=options.port,
        limits=RequestLimits.of(services.settings.local),
        on_stop=app.state.streams.stop,
    )


async def _why_not_simulated(services: Services, options: UpOptions) -> str | None:
    """Tell why no simulator is started; None: one is, or a ComfyUI is named, or no workers."""
    if options.comfyui or options.workers == 0:
        return None
    refused = await simulator_refused(services)
    return refused.reason if refused else None


async def _opened(
    stack: AsyncExitStack, services: Services, engines: Sequence[_Engine], *, each: int
) -> Sequence[Worker]:
    """As many workers of every ComfyUI as ``each`` says."""
    return [
        await stack.enter_async_context(
            open_worker(
                services,
                comfyui_url=engine.url,
                engine=engine.name,
                restart=engine.restart,
                comfyui_dir=engine.folders,
            )
        )
        for engine in engines
        for _ in range(each)
    ]


async def serve_until_signal(
    settings: Settings, options: UpOptions, on_ready: Callable[[Up], None]
) -> None:
    """``running`` until SIGINT or SIGTERM; a second signal ends it without a drain."""
    stopped = stop_event()
    async with running(settings, options) as up:
        on_ready(up)
        await stopped.wait()


def exports_of(settings: Settings, url: str) -> dict[str, str]:
    """The environment with which another process works on the same jobs."""
    names = {
        "COMFYQ_AUTH": str(settings.api.auth),
        "COMFYQ_BACKEND": str(settings.backend),
        "COMFYQ_DATA_DIR": str(settings.data_dir.resolve()),
        "COMFYQ_URL": url,
        "COMFYQ_WORKFLOWS_DIR": str(settings.workflows_dir.resolve()),
    }
    if settings.api.public_url is not None:
        names["PUBLIC_URL"] = settings.api.public_url
    if settings.api.partner_secret is not None:  # without which workers open no keys of clients
        names["COMFYQ_PARTNER_SECRET"] = settings.api.partner_secret.get_secret_value()
    if settings.outputs_dir is not None:
        names["COMFYQ_OUTPUTS_DIR"] = str(settings.outputs_dir.resolve())
    kept_by_all = (settings.limits, settings.webhooks)  # by workers, and other servers
    names |= ChainMap(*(variables_of(group) for group in kept_by_all if group != type(group)()))
    if settings.minio.endpoint is not None:
        names |= variables_of(settings.minio)
    if settings.api.takes_tokens:
        names |= variables_of(settings.oidc)
    if settings.backend is not Backend.EMBEDDED:
        names |= resources_of(settings)
    if settings.backend is Backend.EMULATOR:
        names |= LOOK_ALIKE_ACCESS
    return names


@asynccontextmanager
async def _backend(settings: Settings) -> AsyncIterator[Settings]:
    """Yield settings of a running backend; the emulator is started unless the settings name one."""
    keep_private(settings.data_dir)
    if settings.backend is not Backend.EMULATOR:
        yield settings
        return
    if settings.endpoints.are_complete:
        yield await asyncio.to_thread(provisioned, settings)
        return
    emulator = Emulator(environment=EMULATOR_HOME, data_dir=settings.data_dir / "emulator")
    await asyncio.to_thread(emulator.start)
    try:
        located = replace(settings, endpoints=replace(settings.endpoints, url=emulator.url))
        yield await asyncio.to_thread(provisioned, located)
    finally:
        await asyncio.to_thread(emulator.stop)


async def _engines(
    stack: AsyncExitStack, settings: Settings, options: UpOptions
) -> Sequence[_Engine]:
    """Each ComfyUI that this process has workers for."""
    restart = None
    if options.comfyui_command is not None:
        supervised = supervising(settings, options.comfyui_command, options.comfyui)
        supervisor = await stack.enter_async_context(supervised)
        if len(options.comfyui) == 1:  # of several, nobody knows which the command starts
            restart = supervisor.restart
    if options.comfyui or options.workers == 0:
        own_dir = dir_of(settings, options.comfyui)
        return [_Engine(url, url, restart, own_dir) for url in options.comfyui]
    simulated = SimulatorSettings(models_dir=settings.models.models_dir)
    simulator = await stack.enter_async_context(Simulator(simulated))
    return [_Engine(SIMULATOR, simulator.url)]


async def _evict_for_ever(services: Services) -> None:
    """Evict workers as soon as their processes end, as far as their ends can be watched."""
    with ProcessEnds().watching() as ends:
        while True:
            try:
                await evict_dead_workers(services)
            except DomainError as away:
                log.warning("evict_failed", reason=str(away))
                await asyncio.sleep(EVICT_PERIOD_S)
                continue
            is_told = ends.watch(worker_processes(services.settings))
            period_s = EVICT_WATCHED_PERIOD_S if is_told else EVICT_PERIOD_S
            await ends.wait(most_s=until_beat_s(period_s))
