"""The logger: what it writes, and when structlog is imported."""

import json
import subprocess
import sys

import pytest

from comfyq.aio.logs import Log

PROGRAM = """
import sys
from comfyq.aio.logs import log

log.configure("warning")
assert "structlog" not in sys.modules
log.info("dropped")
log.warning("kept", job="j")
try:
    1 / 0
except ZeroDivisionError as error:
    log.error("failed", exc_info=error)
"""


def test_lines_are_json_on_standard_error_from_the_level_on() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    kept, failed = [json.loads(line) for line in ended.stderr.splitlines()]
    assert (kept["event"], kept["level"], kept["job"]) == ("kept", "warning", "j")
    assert "ZeroDivisionError: division by zero" in failed["exception"]
    assert ended.stdout == ""


def test_an_unknown_level_is_refused_before_the_first_line() -> None:
    with pytest.raises(KeyError):
        Log().configure("loud")


@pytest.mark.parametrize("name", ["api", "websocket", "reaper", "intake"])
def test_a_function_starts_without_structlog_and_boto3(name: str) -> None:
    program = f"import sys, functions.{name}.handler; print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"COMFYQ_BACKEND": "aws", "COMFYQ_QUEUE_URL": "http://127.0.0.1:9/q"},
    )
    modules = set(ended.stdout.split())
    exporters = {"prometheus_client", "opentelemetry.sdk"}
    heavy = {"structlog", "boto3", "botocore.session", "sqlite3", "minio", *exporters}
    assert modules & heavy == set()


def test_a_prepared_logger_imports_nothing_with_its_first_line() -> None:
    program = (
        "import sys; from comfyq.aio.logs import log; log.prepare(); before = set(sys.modules);"
        "log.info('first'); print(*set(sys.modules) - before)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not ended.stdout.split()
    assert json.loads(ended.stderr)["event"] == "first"
