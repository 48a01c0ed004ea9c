"""Failures on demand: the faults that the simulator shows now.

Tests change it while the simulator runs, by `POST /simulator/faults` or through `FaultSwitch`.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Faults:
    """The faults in force, none by default. A count is how many more times a fault occurs."""

    deaf: bool = False
    """Sockets are accepted, and nothing is ever sent on them; what was not sent is lost."""
    stall_socket: bool = False
    """Events wait until this is cleared, as when one client of ComfyUI stops reading."""
    hang: bool = False
    """Whatever runs stands still and ignores interrupts until this is cleared."""
    exit: bool = False
    """The process dies with status 70 the moment the next prompt starts."""
    oom: int = 0
    """So many executions end in torch.OutOfMemoryError."""
    device_fault: bool = False
    """Every execution ends in a CUDA error: a broken context does not heal in the process."""
    refuse: int = 0
    """So many POST /prompt answer `refuse_status`."""
    refuse_status: int = 500
    refuse_queued: bool = False
    """A refused prompt is queued all the same, as ComfyUI itself sometimes does."""
    lose_outputs: bool = False
    """Files are deleted as soon as they are saved; switching it on deletes those that exist."""
    delay_history_s: float = 0.0
    """A finished prompt appears in the history only so long after its end."""
    slow_http_s: float = 0.0
    """Every answer of ComfyUI's own HTTP routes takes so much longer."""

    def changed(self, change: Mapping[str, Any]) -> "Faults":
        """A copy with some fields changed.

        Raises ValueError for an unknown field or a value of another type.
        """
        known = {field.name: type(field.default) for field in fields(self)}
        return replace(self, **{name: _cast(name, value, known) for name, value in change.items()})


def _cast(name: str, value: Any, known: Mapping[str, type]) -> Any:
    wanted = known.get(name)
    if wanted is None:
        raise ValueError(f"unknown fault {name!r}; known: {', '.join(sorted(known))}")
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise ValueError(f"fault {name!r} is a {wanted.__name__}, not {value!r}")
    return value


class FaultSwitch:
    """The faults in force, shared by everything that can fail."""

    def __init__(self, faults: Faults) -> None:
        self.now = faults
        self._changed = asyncio.Event()

    def change(self, change: Mapping[str, Any]) -> None:
        """Put some faults in force or end them. Raises ValueError as `Faults.changed` does."""
        self._set(self.now.changed(change))

    def spend_oom(self) -> bool:
        """Return whether this execution runs out of memory; counts it."""
        if self.now.oom <= 0:
            return False
        self._set(replace(self.now, oom=self.now.oom - 1))
        return True

    def spend_refusal(self) -> bool:
        """Return whether this prompt is refused; counts it."""
        if self.now.refuse <= 0:
            return False
        self._set(replace(self.now, refuse=self.now.refuse - 1))
        return True

    async def wait_while(self, holds: Callable[[Faults], bool]) -> None:
        """Return once `holds` is no longer true of the faults in force."""
        while holds(self.now):
            await self._changed.wait()

    def as_json(self) -> dict[str, Any]:
        return asdict(self.now)

    def _set(self, faults: Faults) -> None:
        self.now = faults
        self._changed.set()
        self._changed = asyncio.Event()
