"""Figures of the functions, as a table."""

from collections.abc import Mapping, Sequence
from statistics import median

from rich.table import Table

from infra.aws_local.function import Function


def table_of(functions: Mapping[str, Function]) -> Table:
    columns = ("function", "cold init p50", "of", "first call p50", "warm p50", "p95", "of")
    table = Table(*columns, "peak memory", "given", title="Lambda entry points on this machine")
    for name, function in sorted(functions.items()):
        figures = function.figures
        table.add_row(
            name,
            _ms(_share(figures.init_ms, 0.5)),
            str(len(figures.init_ms)),
            _ms(_share(figures.first_ms, 0.5)),
            _ms(_share(figures.warm_ms, 0.5)),
            _ms(_share(figures.warm_ms, 0.95)),
            str(len(figures.warm_ms)),
            f"{figures.peak_mb:.0f} MB",
            f"{function.spec.memory_mb} MB",
        )
    return table


def _share(measured: Sequence[float], share: float) -> float | None:
    """The value that this share of them does not exceed."""
    if not measured:
        return None
    if share == 0.5:
        return median(measured)
    return sorted(measured)[min(len(measured) - 1, int(len(measured) * share))]


def _ms(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"
