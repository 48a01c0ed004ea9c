"""``comfyq``: serve, work, and speak to a server."""

from comfyq.cli.errors import ended_by_interrupt
from comfyq.cold_start import cold_start

with ended_by_interrupt(), cold_start():
    from typer.main import get_command

    from comfyq.cli.app import app

__all__ = ["main"]


def main() -> None:
    """Run the command that the arguments of this process name."""
    with ended_by_interrupt():
        command = get_command(app)  # Typer reads signatures here, for a while
    command()
