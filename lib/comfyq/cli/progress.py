"""Showing a job while it runs: a bar for people, a JSON object a line for programs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from comfyq.cli.client import Json
from comfyq.cli.printing import counts_of, print_json

Show = Callable[[Json], None]


@contextmanager
def shown_frames(*, as_json: bool) -> Iterator[Show]:
    """Return the function to call with each frame."""
    if as_json:
        yield print_json
        return
    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[steps]}"),
        TimeElapsedColumn(),
    )
    # standard output is for the result
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("queued", total=1.0, steps="")

        reason: str | None = None  # to wait, as printed last

        def show(frame: Json) -> None:
            nonlocal reason
            if frame.get("waits_for") != reason and (reason := frame.get("waits_for")):
                # a line of its own: beside the bar a narrow terminal cuts it
                progress.console.print(f"waits for {reason}", markup=False, highlight=False)
            progress.update(
                bar,
                description=frame["status"],
                completed=frame["progress"],
                steps=_steps(frame),
                refresh=True,
            )

        yield show


@contextmanager
def shown_batch(*, as_json: bool) -> Iterator[Show]:
    """Return the function to call with each summary of a batch; programs get no line of it."""
    if as_json:
        yield lambda _: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("batch", total=1.0, counts="")

        def show(batch: Json) -> None:
            progress.update(bar, completed=batch["progress"], counts=counts_of(batch), refresh=True)

        yield show


def _steps(frame: Json) -> str:
    if frame["max_steps"]:
        return f"step {frame['step']} of {frame['max_steps']}"
    position = frame.get("queue_position")
    return "next" if position == 0 else f"place {position}" if position else ""
