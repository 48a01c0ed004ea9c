"""Diagnosis of a deployment: the rights that its services grant these credentials."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from comfyq.domain.diagnosis import Finding
from comfyq.services.operations.findings import judge_clock
from comfyq.services.operations.probes import Probe


class Diagnosis:
    """Run the probes in order, then judge the clock.

    ``skew`` returns how far the store's clock is ahead; it is known once a service has answered.
    """

    def __init__(self, *, probes: Sequence[Probe], skew: Callable[[], timedelta]) -> None:
        self._probes = probes
        self._skew = skew

    async def run(self) -> list[Finding]:
        """Return the findings of all probes; a service that fails is a finding, not an error."""
        findings = [finding for probe in self._probes for finding in await probe.run()]
        return [*findings, judge_clock("clock: AWS", self._skew())]
