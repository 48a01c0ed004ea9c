"""A day of the pool as an SVG: what waits, how many workers there are, how many work."""

from collections.abc import Iterable, Sequence

from infra.scaling.model import Sample

WIDTH, HEIGHT, MARGIN = 900, 300, 50
DAY_S = 86_400
LINES = (
    ("waiting", "#c0392b", "jobs waiting"),
    ("nodes", "#2c3e50", "workers paid for"),
    ("working", "#27ae60", "workers at work"),
)


def svg(title: str, samples: Sequence[Sample]) -> str:
    top = max([8, *(max(sample.waiting, sample.nodes) for sample in samples)])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{MARGIN}" y="20" font-size="15">{title}</text>',
        *_hours(),
        *_levels(top),
        *(_line(name, color, samples, top) for name, color, _ in LINES),
        *_legend(),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _line(name: str, color: str, samples: Sequence[Sample], top: int) -> str:
    """Drawn in steps: nothing is between two looks."""
    points, last = list[str](), None
    for sample in samples:
        y = _y(getattr(sample, name), top)
        if last is not None and last != y:
            points.append(f"{_x(sample.at):.1f},{last:.1f}")
        if last != y:
            points.append(f"{_x(sample.at):.1f},{y:.1f}")
        last = y
    end = _x(min(samples[-1].at, DAY_S)) if samples else MARGIN
    points.append(f"{end:.1f},{_y(0, top) if last is None else last:.1f}")
    return (
        f'<polyline fill="none" stroke="{color}" stroke-width="1.5" points="{" ".join(points)}"/>'
    )


def _hours() -> Iterable[str]:
    for hour in range(0, 25, 3):
        x = _x(hour * 3600)
        yield (
            f'<line x1="{x:.1f}" y1="{MARGIN}" x2="{x:.1f}" y2="{HEIGHT - MARGIN}" stroke="#eee"/>'
        )
        yield f'<text x="{x:.1f}" y="{HEIGHT - 32}" text-anchor="middle">{hour}:00</text>'


def _levels(top: int) -> Iterable[str]:
    for share in (0, 0.5, 1):
        y = _y(top * share, top)
        yield f'<line x1="{MARGIN}" y1="{y:.1f}" x2="{WIDTH - 20}" y2="{y:.1f}" stroke="#ddd"/>'
        yield f'<text x="{MARGIN - 6}" y="{y + 4:.1f}" text-anchor="end">{top * share:.0f}</text>'


def _legend() -> Iterable[str]:
    for place, (_, color, label) in enumerate(LINES):
        x = MARGIN + 170 * place
        yield f'<rect x="{x}" y="{HEIGHT - 20}" width="14" height="4" fill="{color}"/>'
        yield f'<text x="{x + 20}" y="{HEIGHT - 14}">{label}</text>'


def _x(at: float) -> float:
    return MARGIN + (WIDTH - MARGIN - 20) * min(at, DAY_S) / DAY_S


def _y(value: float, top: float) -> float:
    return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * value / top
