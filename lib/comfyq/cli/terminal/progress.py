"""Showing a job while it runs: a bar for people, a JSON object a line for programs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column

from comfyq.cli.client import Json
from comfyq.cli.printing import counts_of, print_json
from comfyq.cli.terminal.canvas import Canvas
from comfyq.cli.terminal.pictures import Draw
from comfyq.cli.texts.controls import visible
from comfyq.cli.texts.provisioning import fetched

Show = Callable[[Json], None]

SHORT = 8  # characters of an id beside its bar
NARROW = 70  # columns, below which a bar would leave no room for words
BAR = 20  # columns; the rest of 80 is for what the job does


@contextmanager
def shown_frames(*, as_json: bool, draw: Draw | None = None) -> Iterator[Show]:
    """Return the function to call with each frame; ``draw`` shows the pictures of previews."""
    if as_json:
        yield print_json
        return
    console = Console(stderr=True)  # standard output is for the result
    columns = (
        *_state(console),
        TextColumn("{task.fields[doing]}", markup=False, table_column=_rest()),
        *(() if _is_narrow(console) else (TimeElapsedColumn(),)),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("queued", total=1.0, doing="")
        canvas = None if draw is None else Canvas(progress.console, draw)
        reason: str | None = None  # to wait, as printed last

        def show(frame: Json) -> None:
            nonlocal reason
            if frame.get("kind") == "preview":
                if canvas is not None:
                    canvas.show(frame)
                return
            if frame.get("waits_for") != reason and (reason := frame.get("waits_for")):
                # a line of its own: beside the bar a narrow terminal cuts it
                progress.console.print(
                    f"waits for {visible(reason)}", markup=False, highlight=False
                )
                if canvas is not None:
                    canvas.leave()
            progress.update(
                bar,
                description=frame["status"],
                completed=frame["progress"],
                doing=_doing(frame),
                refresh=True,
            )

        yield show


@contextmanager
def shown_batch(*, as_json: bool) -> Iterator[Show]:
    """Return the function to call with each summary of a batch, of which each state that any of its
    requests has been in has a bar, below that of the whole; programs get no line of it."""
    if as_json:
        yield lambda _: None
        return
    console = Console(stderr=True)
    columns = (
        *_state(console),
        TextColumn("{task.fields[counts]}", table_column=_rest()),
        *(() if _is_narrow(console) else (TimeElapsedColumn(),)),
    )
    with Progress(*columns, console=console) as progress:
        whole = progress.add_task("batch", total=1.0, counts="")
        states: dict[str, TaskID] = {}

        def show(batch: Json) -> None:
            progress.update(whole, completed=batch["progress"])
            size = sum(batch["counts"].values())
            for state, count in batch["counts"].items():
                if state not in states:  # all at the first summary, so that they stand in its order
                    states[state] = progress.add_task(visible(state), counts="", visible=False)
                bar = states[state]
                seen = progress.tasks[bar].visible or count > 0
                counts = f"{count} of {size}"
                progress.update(bar, completed=count, total=size, counts=counts, visible=seen)
            progress.refresh()

        yield show


@contextmanager
def shown_together(*ids: str, as_json: bool) -> Iterator[Show]:
    """Return the function to call with frames of many jobs and batches. Each has its bar from its
    first frame on; bars stand in the order of ``ids``, whoever is told of first."""
    if as_json:
        yield print_json
        return
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.fields[named]}", markup=False, table_column=Column(no_wrap=True)),
        *_state(console),
        TextColumn("{task.fields[doing]}", markup=False, table_column=_rest()),
    )
    with Progress(*columns, console=console) as progress:
        bars = {
            each: progress.add_task("", total=1.0, visible=False, named=each[:SHORT], doing="")
            for each in ids
        }

        def show(frame: Json) -> None:
            name = frame.get("job_id") or frame["batch_id"]
            is_batch = "counts" in frame
            progress.update(
                bars[name],
                description="batch" if is_batch else frame["status"],
                completed=frame["progress"],
                doing=counts_of(frame) if is_batch else _doing(frame),
                visible=True,
                refresh=True,
            )

        yield show


def _state(console: Console) -> Iterator[ProgressColumn]:
    """Yield what is shown first: how it is, and how much of it is done; a bar if there is room."""
    yield TextColumn("{task.description:<9}", table_column=Column(no_wrap=True, min_width=9))
    if not _is_narrow(console):
        yield BarColumn(bar_width=BAR)
    yield TaskProgressColumn(table_column=Column(no_wrap=True, min_width=4))


def _is_narrow(console: Console) -> bool:
    return console.width < NARROW


def _rest() -> Column:
    """Return the column that a narrow terminal cuts."""
    return Column(no_wrap=True, overflow="ellipsis", ratio=1)


def _doing(frame: Json) -> str:
    """Say what a job does, in the room beside a bar."""
    if frame.get("provisioning"):
        return fetched(frame["provisioning"])
    if frame["status"] != "running":
        position = frame.get("queue_position")
        return "next" if position == 0 else f"place {position}" if position else ""
    steps = f"{frame['step']}/{frame['max_steps']}" if frame["max_steps"] else ""
    said = [f"{frame.get('node_class') or 'step'} {steps}" if steps else frame.get("node_class")]
    if frame.get("nodes_total"):
        said.append(f"{frame['nodes_done']}/{frame['nodes_total']} nodes")
    if frame.get("eta_s"):
        said.append(f"{frame['eta_s']} s left")
    return visible(", ".join(filter(None, said)))
