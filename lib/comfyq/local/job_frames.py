"""Frames for a socket that follows one job, filtered from what is posted to it."""

import json
from collections.abc import Mapping
from typing import Any

from comfyq.wire.generate.frames import PREVIEW_BEGINS

ENDS = frozenset({"completed", "failed", "canceled"})


class JobFrames:
    """Order one job's frames, which several processes post, and drop outdated ones."""

    def __init__(self, job_id: str, *, since: int = 0) -> None:
        """``since`` is the version that the client has seen."""
        self.job_id = job_id
        self.last: str | None = None  # the newest frame admitted
        self.ended = False  # that frame is of the job's end
        self.refused = False  # the job cannot be followed; nothing will come
        self._newest = (since, 0.0)

    def admit(self, text: str) -> bool:
        """Return whether a frame is to be sent on: one that is older than the newest is not.

        Age is judged by ``seq`` and, within it, by ``progress``. A frame of the same age passes,
        and so does one that is not about progress. The end passes at any age: a batch's ``seq``
        falls when a retry of one of its jobs is deleted, and a client may name a ``since`` that
        never was. An error about the job ends the socket, but not once the job has been shown: then
        only a fresh frame of it could not be read for now.
        """
        if text.startswith(PREVIEW_BEGINS):
            return not self.ended
        frame = _object(text)
        if "seq" not in frame:
            is_refusal = frame.get("type") == "error" and frame.get("job_id") == self.job_id
            if is_refusal and self.last is not None and _passes(frame):
                return False
            self.refused = is_refusal
            return True
        position = (int(frame["seq"]), float(frame["progress"]))
        is_end = frame.get("done") is True or frame.get("status") in ENDS
        if position < self._newest and (not is_end or self.ended):
            return False
        self._newest = max(position, self._newest)
        self.last = text
        self.ended = is_end
        return True


def _passes(error: Mapping[str, Any]) -> bool:
    """Return whether an error is of a service that does not answer now."""
    return str(error.get("code")).endswith("-unavailable")


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
