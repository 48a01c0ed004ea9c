"""``comfyq``: serve, work, and speak to a server."""

from comfyq.cli.app import app as main

__all__ = ["main"]
