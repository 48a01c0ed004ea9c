"""``comfyq``: serve, work, and speak to a server."""

from comfyq.cli.errors import ended_by_interrupt
from comfyq.cold_start import cold_start

with ended_by_interrupt(), cold_start():
    from comfyq.cli.app import app as main

__all__ = ["main"]
