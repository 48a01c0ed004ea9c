import base64

from rich.console import Console

from comfyq.cli.client import Json
from comfyq.cli.terminal.pictures import ROWS, Draw

AROUND = 4  # lines that a terminal must have beside a picture


class Canvas:
    """Lines above the bar, in which each preview takes the place of the one before."""

    def __init__(self, console: Console, draw: Draw) -> None:
        self._console = console
        self._draw = draw
        self._is_there = False

    def show(self, preview: Json) -> None:
        """Show the picture of a preview frame, if the terminal is large enough."""
        if self._console.height < ROWS + AROUND:
            return
        try:
            picture = self._draw(base64.b64decode(preview["data"]))
        except (OSError, ValueError):  # no picture, or of another kind: the job goes on without
            return
        if not self._is_there:
            self._console.print("\n" * (ROWS - 1))
            self._is_there = True
        # One write, in which the cursor is put back: the bar is drawn beside this.
        self._console.file.write(f"\x1b7\x1b[{ROWS}A\r{picture}\x1b8")
        self._console.file.flush()

    def leave(self) -> None:
        """Note that a line is printed below it: the next preview is shown below that."""
        self._is_there = False
