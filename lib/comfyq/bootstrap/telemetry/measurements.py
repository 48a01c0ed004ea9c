"""The metrics of this process and of its deployment, for whoever asks.

What exports them is imported with the first question: most processes are never asked.
"""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from comfyq import __version__
from comfyq.aio.cached import Cached
from comfyq.aio.logs import log
from comfyq.bootstrap.records import Records
from comfyq.config import MetricsSettings
from comfyq.domain.errors import DomainError
from comfyq.services.operations.backlog import Backlog, BacklogReport
from comfyq.services.operations.embedded_metrics import EmbeddedMetrics
from comfyq.telemetry.metrics import Gauge, Metric
from comfyq.telemetry.numbers import NUMBERS

TABLE_UP = "1 if the table answered when it was last asked, else 0."
REPORT_S = 5.0  # maximum age of what is read from the table
ANSWER_S = 8.0  # for the table, of Prometheus' usual ten


class Measurements:
    """Metrics for Prometheus.

    A function of Lambda is one of many that come and go, so of it only the deployment's are shown:
    it writes its own to its log.
    """

    def __init__(self, backlog: Backlog, *, settings: MetricsSettings) -> None:
        self._report: Cached[BacklogReport] = Cached(backlog.report, max_age_s=REPORT_S)
        self._own: Sequence[Metric] = NUMBERS if settings.lambda_function is None else ()

    async def exposed(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics, and their media type, in the format that ``accept`` wants."""
        metrics = await self.all()
        return await asyncio.to_thread(_exposed, metrics, accept)

    async def all(self) -> Sequence[Metric]:
        """Return the metrics of this process and, if the table answers, of the deployment."""
        table = Gauge("comfyq_table_up", TABLE_UP)
        try:
            async with asyncio.timeout(ANSWER_S):
                gauges = (await self._report.get()).gauges()
        except (DomainError, TimeoutError) as away:
            log.warning("metrics_without_table", reason=str(away))
            return [*self._own, table]
        table.add()
        return [*self._own, table, *gauges]


def _exposed(metrics: Sequence[Metric], accept: str) -> tuple[bytes, str]:
    from comfyq.adapters.prometheus.exposition import exposed  # imported by who is asked

    return exposed(lambda: metrics, version=__version__, accept=accept)


def written_metrics(services: Records) -> Iterator[Coroutine[Any, Any, None]]:
    """Yield the task that writes metrics to standard output, if the settings want it."""
    settings = services.settings
    if settings.metrics.metrics_emf:
        emit = partial(print, flush=True)
        clock = services.ports.clock
        yield EmbeddedMetrics(clock=clock, table=settings.aws.table, emit=emit).run()


@contextmanager
def metrics_port(
    settings: MetricsSettings, measurements: Measurements | None = None
) -> Iterator[None]:
    """Serve metrics at the port of the settings, if there is one, while the body runs: those of
    this process alone, or with ``measurements`` those of the deployment as well.

    A port that cannot be had is logged: jobs do not wait for it.
    """
    if settings.metrics_port is None:
        yield
        return
    from comfyq.adapters.prometheus.server import PortsTaken, serving_metrics

    loop = asyncio.get_running_loop()

    def metrics() -> Sequence[Metric]:  # called by a thread of the server
        if measurements is None:
            return NUMBERS
        return asyncio.run_coroutine_threadsafe(measurements.all(), loop).result()

    host, port = settings.metrics_host, settings.metrics_port
    with ExitStack() as stack:
        serving = serving_metrics(metrics, version=__version__, host=host, port=port)
        try:
            taken = stack.enter_context(serving)
        except PortsTaken as refused:
            log.error("metrics_unserved", reason=str(refused))
        else:
            log.info("metrics_served", url=f"http://{host}:{taken}/metrics")
        yield
