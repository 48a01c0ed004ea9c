"""The log lines of the code under test."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from structlog.testing import capture_logs

from comfyq.aio.logs import log


@contextmanager
def logged() -> Iterator[list[Any]]:
    """Collect the lines that are logged, as mappings."""
    log.configure("info")  # a command that ran in this process before may have said less
    log.debug("nothing")  # the first line configures structlog, which would end the collecting
    with capture_logs() as lines:
        yield lines
