"""Attributing a device's failure to the prompt that it struck first."""

from time import monotonic

from comfyq.ports.engine import DeviceFault, EngineError, OutOfMemory
from comfyq.services.worker.failure_policy import DeviceBroken
from comfyq.services.worker.held_job import HeldJob


class DeviceBlame:
    """Count an out-of-memory error or device fault against one prompt only.

    A prompt that waited behind that one in ComfyUI fails with the same error, through no fault of
    its own.
    """

    def __init__(self) -> None:
        self._failed_at = float("-inf")  # when the device last failed (monotonic)

    def attributed(self, held: HeldJob, raised: EngineError) -> EngineError:
        """Return the error to judge this job by: DeviceBroken if another prompt broke the device
        after this one was taken."""
        if not isinstance(raised, OutOfMemory | DeviceFault):
            return raised
        if held.taken_at < self._failed_at:
            return DeviceBroken(f"behind another prompt that had made it fail: {raised}")
        self._failed_at = monotonic()
        return raised
