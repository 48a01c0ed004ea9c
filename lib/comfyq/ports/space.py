from typing import Protocol


class Space(Protocol):
    """The disks that jobs need."""

    def shortage(self) -> str | None:
        """Say which disk is nearly full, and what to do; None if there is room."""
        ...
