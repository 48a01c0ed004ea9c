"""Bars of files that are being fetched, on standard error."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from comfyq.cli.texts.controls import visible
from comfyq.services.models.file_fetch import FetchProgress, OnProgress


@contextmanager
def shown_fetches() -> Iterator[OnProgress]:
    """Return the function to call with each file's progress; only a terminal shows it."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(20),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", visible=False)

        def show(at: FetchProgress) -> None:
            name = visible(at.file.rsplit("/", 1)[-1])
            progress.update(bar, description=name, completed=at.done, total=at.size, visible=True)

        yield show
