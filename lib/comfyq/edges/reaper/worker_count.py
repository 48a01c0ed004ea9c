"""The number of live workers as a metric, for the alarm on jobs that nobody takes.

A line of CloudWatch's embedded metric format in the function's log needs no right and no call:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
from collections.abc import Callable

from comfyq.ports.clock import Clock
from comfyq.services.operations.health import Health

NAMESPACE = "comfyq"
METRIC = "LiveWorkers"
DIMENSION = "Table"  # tells the deployments of an account apart


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
        metric = {
            "Namespace": NAMESPACE,
            "Dimensions": [[DIMENSION]],
            "Metrics": [{"Name": METRIC, "Unit": "Count"}],
        }
        now_ms = int(self._clock.now().timestamp() * 1000)
        line = {
            "_aws": {"Timestamp": now_ms, "CloudWatchMetrics": [metric]},
            DIMENSION: self._table,
            METRIC: len(report.workers),
        }
        self._emit(json.dumps(line, separators=(",", ":")))
