from typing import Protocol


class ProtectionUnavailable(Exception):
    """The service that stops idle workers did not answer; asking again may help."""


class Protection(Protocol):
    """Protect a busy worker from being stopped by its pool's scaling."""

    async def protect(self, *, for_s: float) -> None:
        """Protect this worker for ``for_s`` from now; raises ProtectionUnavailable."""
        ...

    async def release(self) -> None:
        """End the protection; raises ProtectionUnavailable."""
        ...
