"""The HTTP routes of ComfyUI, and those under /simulator for tests."""

from collections.abc import Iterator

from aiohttp import web

from comfyui_simulator.office import Office
from comfyui_simulator.routes import control, files, info, jobs, prompts, socket


def all_routes(office: Office) -> Iterator[web.AbstractRouteDef]:
    """Every route; ComfyUI's own stand under /api too."""
    groups = [prompts.routes(office), files.routes(office), info.routes(office)]
    groups.append(socket.routes(office))
    for route in (route for group in groups for route in group):
        yield route
        yield web.route(route.method, f"/api{route.path}", route.handler)
    if office.settings.wire.has_jobs:
        yield from jobs.routes(office)
    yield from control.routes(office)
