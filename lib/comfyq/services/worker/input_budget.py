"""The limits on the input files of one job together."""

import asyncio

from comfyq.domain.errors import InputInvalid
from comfyq.domain.files.inputs import InputLimits


class InputBudget:
    """The bytes and the time that the files of one job may still take.

    Time is counted by ``timeout``, but not while the job waits for the decoder of pictures.
    """

    def __init__(self, limits: InputLimits) -> None:
        self._max_bytes = self._left = limits.max_total_bytes
        self._left_s: float | None = None  # while the time stands still
        self.timeout = asyncio.timeout(limits.max_s)

    def spend(self, size: int) -> None:
        """Take the bytes of one file; raises InputInvalid where that is too much."""
        self._left -= size
        if self._left < 0:
            raise InputInvalid(
                f"the job's input files have over {self._max_bytes} bytes together "
                "(COMFYQ_INPUT_MAX_TOTAL_BYTES)"
            )

    def stop_time(self) -> None:
        """Count no time until ``count_time``."""
        ends_s = self.timeout.when()
        assert ends_s is not None, "time is counted only within the timeout"
        self._left_s = ends_s - asyncio.get_running_loop().time()
        self.timeout.reschedule(None)

    def count_time(self) -> None:
        """Count the time again; nothing happens if it is counted already."""
        if self._left_s is not None:
            self.timeout.reschedule(asyncio.get_running_loop().time() + self._left_s)
            self._left_s = None
