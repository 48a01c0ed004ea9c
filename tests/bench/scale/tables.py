"""Tables with ratios to the first of their stores."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One measure of several stores, the first of which is what the others are compared with."""

    what: str
    values: Sequence[float]
    digits: int
    ratio: bool = True

    @property
    def cells(self) -> Iterable[str]:
        yield self.what
        first = self.values[0]
        for number, value in enumerate(self.values):
            if math.isnan(value):
                yield ""
            elif number and self.ratio:
                yield f"{value:,.{self.digits}f} ({value / first:.2f} x)"
            else:
                yield f"{value:,.{self.digits}f}"


def table(heads: Sequence[str], rows: Iterable[Row]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row.cells)} |" for row in rows)])
