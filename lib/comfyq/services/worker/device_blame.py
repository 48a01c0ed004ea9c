"""Attributing a device's failure to the prompt that failed first."""

from time import monotonic

from comfyq.ports.engine import DeviceFault, EngineError, OutOfMemory
from comfyq.services.worker.failure_policy import DeviceBroken
from comfyq.services.worker.held_job import HeldJob


class DeviceBlame:
    """Count an out-of-memory error or device fault against one prompt only.

    Prompts queued behind that one in ComfyUI fail with the same error without having caused it.
    """

    def __init__(self) -> None:
        self._failed_at = float("-inf")  # when the device last failed (monotonic)

    def attributed(self, held: HeldJob, raised: EngineError) -> EngineError:
        """Return the error to judge this job by: DeviceBroken if the device has failed another
        prompt since this job was claimed."""
        if not isinstance(raised, OutOfMemory | DeviceFault):
            return raised
        if held.taken_at < self._failed_at:
            return DeviceBroken(f"behind another prompt that had made it fail: {raised}")
        self._failed_at = monotonic()
        return raised
