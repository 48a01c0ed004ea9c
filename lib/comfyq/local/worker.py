"""Workers in a process of their own: ``comfyq worker``, and the container beside a GPU."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from comfyq.aio.logs import log
from comfyq.aio.tasks import beside, first_of
from comfyq.bootstrap.backends import open_ports
from comfyq.bootstrap.ports import MissingSetting
from comfyq.bootstrap.services import Services
from comfyq.bootstrap.telemetry.measurements import metrics_port, written_metrics
from comfyq.bootstrap.telemetry.traces import traced
from comfyq.bootstrap.worker import NotComfyUI, open_worker, remove_dead_workers
from comfyq.bootstrap.workers.membership import NotAdmitted
from comfyq.config import InvalidSettings, Settings, read_settings
from comfyq.domain.errors import ClockSkewed
from comfyq.edges.worker.worker import Worker
from comfyq.local.loop import run
from comfyq.local.private_files import keep_private
from comfyq.local.signals import stop_event
from comfyq.local.supervisor import supervising

WRONG_USAGE = 2
CLOCK_WRONG = 4


@asynccontextmanager
async def working(workers: Sequence[Worker]) -> AsyncIterator[None]:
    """Run ``workers`` while the body runs; then they drain, and what runs may finish."""
    async with asyncio.TaskGroup() as running:
        for worker in workers:
            running.create_task(worker.run())
        try:
            yield
        finally:
            for worker in workers:
                worker.stop()


async def work_until_signal(
    settings: Settings,
    comfyui: Sequence[str],
    on_ready: Callable[[], None] = lambda: None,
    *,
    comfyui_command: str | None = None,
) -> None:
    """One worker for each ComfyUI of ``comfyui`` (base URLs), until SIGINT or SIGTERM.

    ``comfyui_command`` starts the one ComfyUI that is named, again whenever it ends, and when the
    worker finds it broken.

    At the signal the workers claim nothing more, finish what ComfyUI has begun within ``drain_s``,
    and give the other jobs back. A second signal ends the process at once.

    Raises:
        MissingSetting: the backend is not described well enough.
        NotComfyUI: the directory of the settings is not ComfyUI's.
        NotAdmitted: a ComfyUI is a simulator and the jobs are for real ones, or the reverse.
        WorkerIdTaken: another process of this machine has the id that the settings want.
        SupervisorTaken: another process of this data directory starts that ComfyUI.
    """
    keep_private(settings.data_dir)
    stopped = stop_event()
    async with AsyncExitStack() as stack:
        stack.enter_context(traced(settings.traces, service="comfyq-worker"))
        services = await _services(stack, settings)
        restart = await _restart(stack, settings, comfyui, comfyui_command)
        folder = dir_of(settings, comfyui)
        opened = (
            open_worker(services, comfyui_url=url, restart=restart, comfyui_dir=folder)
            for url in comfyui
        )
        workers = [await stack.enter_async_context(worker) for worker in opened]
        stack.enter_context(metrics_port(settings.metrics))
        await stack.enter_async_context(beside(*written_metrics(services)))
        await stack.enter_async_context(working(workers))
        on_ready()
        await stopped.wait()


async def _services(stack: AsyncExitStack, settings: Settings) -> Services:
    """Open the services of this process's workers, and watch its event loop."""
    ports = open_ports(settings)
    stack.callback(ports.close)
    await ports.prepare()
    services = Services(settings, ports)
    await remove_dead_workers(services)
    stack.enter_context(services.stall_watch.watching())
    return services


async def _restart(
    stack: AsyncExitStack, settings: Settings, comfyui: Sequence[str], command: str | None
) -> Callable[[], None] | None:
    """Return a function that restarts ComfyUI; None if it is not ours to start."""
    if command is None:
        return None
    return (await stack.enter_async_context(supervising(settings, command, comfyui))).restart


def dir_of(settings: Settings, comfyui: Sequence[str]) -> Path | None:
    """Return the folder of the one ComfyUI, if it is set; raises MissingSetting for several."""
    if settings.comfyui.dir is not None and len(comfyui) > 1:
        raise MissingSetting(
            "one directory is one ComfyUI's: with --comfyui-dir or COMFYUI_DIR, name one --comfyui"
        )
    return settings.comfyui.dir


def comfyui_of(settings: Settings) -> str:
    """The one ComfyUI that the environment names; raises MissingSetting."""
    url = settings.comfyui.base_url
    if url is None:
        raise MissingSetting("a worker needs a ComfyUI: name its URL by --comfyui or COMFYUI_URL")
    return url


def main() -> None:
    """Run one worker by the settings of the environment alone."""
    try:
        settings = read_settings()
        log.configure(settings.log_level)
        run(work_until_signal(settings, [comfyui_of(settings)]))
    except (InvalidSettings, MissingSetting, NotComfyUI, NotAdmitted) as wrong:
        print(wrong, file=sys.stderr)
        sys.exit(WRONG_USAGE)
    except (ClockSkewed, BaseExceptionGroup) as failed:  # before or while its tasks run
        skewed = first_of(failed) if isinstance(failed, BaseExceptionGroup) else failed
        if not isinstance(skewed, ClockSkewed):
            raise
        print(skewed, file=sys.stderr)
        sys.exit(CLOCK_WRONG)
