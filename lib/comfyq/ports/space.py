from typing import Protocol


class Space(Protocol):
    """The disks that jobs need."""

    def shortage(self) -> str | None:
        """Which of them is nearly full, and what to do, readable; None if there is room."""
        ...
