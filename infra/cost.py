"""The monthly cost of a deployment, from the calls that a job was recorded to make.

usage: python -m infra.cost [DOCUMENT.md]

It is printed, and written into the part ``cost`` of the document.

``infra/checks/per_job.json`` is measured by ``tests/infra/test_cost.py``. Prices are those of
us-east-1 without free tiers, as they stood in 2026; GPUs and traffic to the internet come on top.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.marked_part import rewrite

RECORD = Path(__file__).with_name("checks") / "per_job.json"
DAYS = 30.4  # of a month
MONTH_S = DAYS * 86_400

# USD
WRITE_UNIT, READ_UNIT = 0.625e-6, 0.125e-6  # DynamoDB on demand
SQS_CALL = 0.40e-6
S3_PUT, S3_GET, S3_GB_MONTH = 5e-6, 0.4e-6, 0.023
HTTP_CALL, SOCKET_MESSAGE = 1.00e-6, 1.00e-6  # API Gateway
LAMBDA_CALL, LAMBDA_GB_S = 0.20e-6, 16.6667e-6
LOG_GB, ALARM, DASHBOARD, METRIC, KEY = 0.50, 0.10, 3.00, 0.30, 1.00

ALARMS, FREE_DASHBOARDS = 6, 3
API_S, REAPER_S, SOCKET_S = 0.05, 0.2, 0.03  # of a warm call
API_GB, SMALL_GB = 1.0, 0.5
OUTPUT_GB = 0.0015  # a picture
KEPT_DAYS = 30
LOG_GB_PER_JOB = 4e-6
EVENT_QUEUES, POLLERS = 4, 5  # Lambda polls each queue five times at once
FAMILIES = 5  # of models that jobs have asked for
POLLS_PER_WORKER = MONTH_S / 20  # long polls
BEATS_PER_WORKER = MONTH_S / 5
WATCH_READS_PER_S = 1  # of a running job


@dataclass(frozen=True)
class PerJob:
    """Means over jobs with one follower; ``calls`` by service and operation."""

    write_units: float
    read_units: float
    calls: Mapping[str, float]

    def of(self, service: str) -> float:
        return sum(count for name, count in self.calls.items() if name.startswith(f"{service}:"))


def per_job(path: Path = RECORD) -> PerJob:
    return PerJob(**json.loads(path.read_text(encoding="utf-8")))


def job_usd(job: PerJob, *, polls: int = 3, running_s: float = 25) -> dict[str, float]:
    """By service, what one job costs; its client asks ``polls`` times and follows it."""
    http, messages = 1 + polls, job.of("apigatewaymanagementapi") + 3
    reads = job.read_units + running_s * WATCH_READS_PER_S
    puts = job.calls.get("s3:PutObject", 0)
    lambda_gb_s = http * API_S * API_GB + 3 * SOCKET_S * SMALL_GB
    return {
        "table": job.write_units * WRITE_UNIT + reads * READ_UNIT,
        "queue": job.of("sqs") * SQS_CALL,
        "files": puts * S3_PUT + S3_GET + OUTPUT_GB * S3_GB_MONTH * KEPT_DAYS / DAYS,
        "API Gateway": http * HTTP_CALL + messages * SOCKET_MESSAGE,
        "functions": (http + 3) * LAMBDA_CALL + lambda_gb_s * LAMBDA_GB_S,
        "logs": LOG_GB_PER_JOB * LOG_GB,
    }


def idle_usd(*, workers: int) -> dict[str, float]:
    """By service, a month without a job."""
    minutes = MONTH_S / 60
    shards = 4  # partitions of the index that the reaper looks at
    doorbells = (1 + FAMILIES) * 0.5  # the list of families, and whether jobs of each wait
    lookups = minutes * (shards * 0.5 + 1 + doorbells) * READ_UNIT
    beats = workers * BEATS_PER_WORKER * WRITE_UNIT
    return {
        "table": lookups + beats,
        "queue": (workers + EVENT_QUEUES * POLLERS) * POLLS_PER_WORKER * SQS_CALL,
        "functions": minutes * (LAMBDA_CALL + REAPER_S * SMALL_GB * LAMBDA_GB_S),
        "alarms and metrics": ALARMS * ALARM + METRIC + KEY,
    }


def main(*documents: str) -> None:
    text = report()
    print(text)
    for document in documents:
        rewrite(Path(document), "cost", text)


def report() -> str:
    """Markdown: USD a month by service, and what one job takes."""
    job = per_job()
    each = job_usd(job)
    columns = [
        idle_usd(workers=0),
        idle_usd(workers=1),
        *(_sum(idle_usd(workers=n), each, times=d * DAYS) for n, d in ((1, 1_000), (30, 100_000))),
    ]
    lines = [
        "| USD a month | idle, no worker | idle, one worker | 1,000 jobs a day | 100,000 a day |",
        "|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(name for column in columns for name in column):
        lines.append(f"| {name} | {' | '.join(f'{c.get(name, 0):,.2f}' for c in columns)} |")
    totals = " | ".join(f"**{sum(column.values()):,.2f}**" for column in columns)
    thousand = sum(each.values()) * 1000
    return "\n".join(
        [
            *lines,
            f"| **all** | {totals} |",
            "",
            f"A job: {job.write_units:.1f} write units, {job.read_units:.1f} read units, "
            f"{job.of('sqs'):.1f} calls of SQS; {thousand:.3f} USD for a thousand.",
        ]
    )


def _sum(idle: Mapping[str, float], each: Mapping[str, float], *, times: float) -> dict[str, float]:
    names = dict.fromkeys([*idle, *each])
    return {name: idle.get(name, 0) + times * each.get(name, 0) for name in names}


if __name__ == "__main__":
    main(*sys.argv[1:])
