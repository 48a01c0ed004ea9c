"""Many like assertions in one test, whose failure names each that does not hold."""

from collections.abc import Iterator
from contextlib import contextmanager


class Cells:
    """Goes on after a cell that does not hold, and fails in the end if there was one.

    It stands for a test of each cell where such a test costs more than the cell.
    """

    def __init__(self) -> None:
        self._wrong: list[str] = []
        self._count = 0

    def __enter__(self) -> "Cells":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            assert self._count, "the table has no cells"
            wrong = "\n".join(self._wrong)
            assert not wrong, f"{len(self._wrong)} of {self._count} cells do not hold:\n{wrong}"

    @contextmanager
    def cell(self, name: str) -> Iterator[None]:
        """Keep what is raised meanwhile for the end, under the cell's name."""
        self._count += 1
        try:
            yield
        except Exception as error:
            self._wrong.append(f"{name}: {type(error).__name__}: {error}")
