"""The HTTP routes of ComfyUI, and those under /simulator for tests."""

from collections.abc import Iterator

from aiohttp import web

from comfyui_simulator.parts import Parts
from comfyui_simulator.routes import control, files, info, jobs, prompts, socket


def all_routes(parts: Parts) -> Iterator[web.AbstractRouteDef]:
    """Every route; ComfyUI's own stand under /api too."""
    groups = [prompts.routes(parts), files.routes(parts), info.routes(parts)]
    groups.append(socket.routes(parts))
    for route in (route for group in groups for route in group):
        yield route
        yield web.route(route.method, f"/api{route.path}", route.handler)
    if parts.settings.wire.has_jobs:
        yield from jobs.routes(parts)
    yield from control.routes(parts)
