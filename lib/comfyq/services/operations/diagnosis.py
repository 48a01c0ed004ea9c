"""Diagnosis of a deployment: what its services allow these credentials."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from comfyq.domain.diagnosis import Finding
from comfyq.services.operations.findings import judge_clock
from comfyq.services.operations.probes import Probe


class Diagnosis:
    """Run the probes in order, then judge the clock.

    ``skew`` is how far the store's clock is ahead, known once a service has answered.
    """

    def __init__(self, *, probes: Sequence[Probe], skew: Callable[[], timedelta]) -> None:
        self._probes = probes
        self._skew = skew

    async def run(self) -> list[Finding]:
        """Return what each service answered; never raises for a service."""
        findings = [finding for probe in self._probes for finding in await probe.run()]
        return [*findings, judge_clock("clock: AWS", self._skew())]
