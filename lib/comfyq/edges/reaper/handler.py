"""The reaper's Lambda function: one look for each event of its schedule."""

from collections.abc import Mapping
from typing import Any

from comfyq.services.reaping import Reaper


class ReaperHandler:
    def __init__(self, reaper: Reaper) -> None:
        self._reaper = reaper

    async def handle(self, event: Mapping[str, Any], context: object = None) -> dict[str, Any]:
        """Look once; the counts of what was done go to the log and to whoever invoked it.

        Raises:
            TableUnavailable: nothing could be looked at; the schedule tries again.
        """
        return dict(await self._reaper.reap())
