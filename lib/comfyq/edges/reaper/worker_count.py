"""The number of live workers as a metric, for the alarm on jobs that nobody takes."""

from collections.abc import Callable

from comfyq.ports.clock import Clock
from comfyq.services.operations.embedded_metrics import DIMENSION, metric_line
from comfyq.services.operations.health import Health

METRIC = "LiveWorkers"


class WorkerCount:
    """``emit`` takes one line, without its end."""

    def __init__(
        self, *, health: Health, clock: Clock, table: str, emit: Callable[[str], None]
    ) -> None:
        self._health = health
        self._clock = clock
        self._table = table
        self._emit = emit

    async def report(self) -> None:
        report = await self._health.check()
        dimensions = {DIMENSION: self._table}
        self._emit(metric_line(self._clock.now(), dimensions, {METRIC: len(report.workers)}))
