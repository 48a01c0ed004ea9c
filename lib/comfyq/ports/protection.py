from typing import Protocol


class ProtectionUnavailable(Exception):
    """Whoever stops idle workers could not be told; asking again may help."""


class Protection(Protocol):
    """Keeps whoever scales a pool from stopping a worker that has work."""

    async def protect(self, *, for_s: float) -> None:
        """Not to be stopped for that long; called again, from now. ProtectionUnavailable."""
        ...

    async def release(self) -> None:
        """May be stopped at any time. Raises ProtectionUnavailable."""
        ...
