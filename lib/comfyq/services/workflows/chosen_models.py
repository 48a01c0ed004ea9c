"""The models that clients of AUTOMATIC1111's API have chosen for all of their requests.

There, one server has one model at a time. Here each key has its own, and where clients with one key
name different workflows as the user of HTTP Basic, each of these.
"""

from dataclasses import replace
from datetime import timedelta

from comfyq.domain.caller import Caller
from comfyq.ports.clock import Clock
from comfyq.records.access.chosen_models import ChosenModel, ChosenModelRecords
from comfyq.services.limits.tenant_limits import TenantLimits

KEPT = timedelta(days=60)  # after its last use


class ChosenModels:
    def __init__(self, *, records: ChosenModelRecords, limits: TenantLimits, clock: Clock) -> None:
        self._records = records
        self._limits = limits
        self._clock = clock

    async def of(self, caller: Caller, named: str) -> str | None:
        """Return what a caller who names a workflow has chosen in its place; None: nothing."""
        chosen = await self._records.get(caller.tenant, _chooser(caller, named))
        if chosen is None:
            return None
        until = self._clock.now() + KEPT
        if chosen.expires_at < until - KEPT / 2:
            await self._records.put(replace(chosen, expires_at=until))
        return chosen.name

    async def choose(self, caller: Caller, named: str, model: str) -> None:
        """Remember a choice; raises DataBeingDeleted."""
        await self._limits.require_open(caller.tenant)
        await self._records.put(
            ChosenModel(
                tenant=caller.tenant,
                chooser=_chooser(caller, named),
                name=model,
                expires_at=self._clock.now() + KEPT,
            )
        )


def _chooser(caller: Caller, named: str) -> str:
    return f"{caller.who}\0{named}"
