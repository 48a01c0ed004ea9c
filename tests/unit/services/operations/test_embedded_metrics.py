"""Metrics as lines of a log: what CloudWatch reads in them."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from comfyq.services.operations.embedded_metrics import EmbeddedMetrics
from comfyq.telemetry.metrics import Gauge, Histogram
from comfyq.telemetry.numbers import ACCEPTED, SOCKETS, TABLE_CALLS, WAIT_SECONDS
from comfyq.testing.memory.clock import ManualClock

pytestmark = pytest.mark.anyio

Line = Mapping[str, Any]

MEASURED = (ACCEPTED, SOCKETS, TABLE_CALLS, WAIT_SECONDS)  # of others, tests leave some at work


class Log:
    """The metrics of this process, and the lines that they were written in."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.metrics = EmbeddedMetrics(
            clock=ManualClock(), table="t", emit=self.text.append, metrics=MEASURED
        )
        self.taken()  # what other tests have counted

    def taken(self) -> list[Line]:
        self.metrics.write()
        return self.read()

    def read(self) -> list[Line]:
        lines = [json.loads(line) for line in self.text]
        self.text.clear()
        return lines


@pytest.fixture
def log() -> Iterator[Log]:
    yield Log()
    for metric in MEASURED:
        if isinstance(metric, Histogram):
            metric.keeps_values = False


def directive(line: Line) -> Any:
    [only] = line["_aws"]["CloudWatchMetrics"]
    return only


def test_a_line_has_what_the_format_wants(log: Log) -> None:
    ACCEPTED.add("sd15", by=3)
    [line] = log.taken()
    assert directive(line) == {
        "Namespace": "comfyq",
        "Dimensions": [["Table", "workflow"]],
        "Metrics": [{"Name": "comfyq_jobs_accepted_total", "Unit": "Count"}],
    }
    assert line["_aws"]["Timestamp"] == 1_767_225_600_000
    assert (line["Table"], line["workflow"]) == ("t", "sd15")
    assert line["comfyq_jobs_accepted_total"] == 3


def test_only_growth_is_written(log: Log) -> None:
    ACCEPTED.add("sd15")
    assert len(log.taken()) == 1
    assert log.taken() == []
    ACCEPTED.add("sd15", by=2)
    assert [line["comfyq_jobs_accepted_total"] for line in log.taken()] == [2]


def test_numbers_of_the_same_labels_share_a_line(log: Log) -> None:
    TABLE_CALLS.add("get")
    ACCEPTED.add("sd15")
    WAIT_SECONDS.observe(2.5, "sd15")
    [first, second] = sorted(log.taken(), key=lambda line: "workflow" in line)
    assert first["comfyq_table_calls_total"] == 1
    assert second["comfyq_jobs_accepted_total"] == 1
    assert second["comfyq_wait_seconds"] == [2.5]
    assert directive(second)["Metrics"][-1] == {"Name": "comfyq_wait_seconds", "Unit": "Seconds"}


def test_many_values_are_written_in_lines_of_a_hundred(log: Log) -> None:
    for value in range(250):
        WAIT_SECONDS.observe(value, "sd15")
    written = [line["comfyq_wait_seconds"] for line in log.taken()]
    assert sorted(map(len, written)) == [50, 100, 100]
    assert sorted(value for values in written for value in values) == list(range(250))


def test_a_gauge_is_written_while_it_is_not_0_and_once_more(log: Log) -> None:
    SOCKETS.add()
    told = [[line["comfyq_sockets"] for line in log.taken()] for _ in range(2)]
    SOCKETS.add(by=-1)
    told += [[line["comfyq_sockets"] for line in log.taken()] for _ in range(2)]
    assert told == [[1], [1], [0], []]


def test_the_deployments_state_is_written_as_it_is(log: Log) -> None:
    waiting = Gauge("comfyq_jobs_waiting", "Jobs that wait.", "family")
    waiting.add("sd15", by=0)
    for _ in range(2):
        log.metrics.write_state([waiting])
        assert [line["comfyq_jobs_waiting"] for line in log.read()] == [0]


async def test_what_is_left_at_the_end_is_written(log: Log) -> None:
    running = asyncio.create_task(log.metrics.run())
    await asyncio.sleep(0)
    ACCEPTED.add("sd15")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [line["comfyq_jobs_accepted_total"] for line in log.read()] == [1]
