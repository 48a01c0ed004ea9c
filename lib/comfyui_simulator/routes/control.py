"""Routes of the simulator alone: failures on demand, and counters of its work.

POST /simulator/faults   any fields of `faults.Faults`, or {"close_sockets": true}
GET  /simulator/faults   the faults in force
GET  /simulator/stats    `stats.Stats`
"""

from aiohttp import web

from comfyui_simulator.parts import Parts
from comfyui_simulator.routes.prompts import json_object


def routes(parts: Parts) -> list[web.RouteDef]:
    desk = ControlRoutes(parts)
    return [
        web.get("/simulator/faults", desk.show_faults),
        web.post("/simulator/faults", desk.change_faults),
        web.get("/simulator/stats", desk.show_stats),
    ]


class ControlRoutes:
    """Handlers of one simulator."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def show_faults(self, request: web.Request) -> web.Response:
        return web.json_response(self._parts.faults.as_json())

    async def change_faults(self, request: web.Request) -> web.Response:
        change = await json_object(request)
        close_sockets = change.pop("close_sockets", False)
        try:
            self._parts.faults.change(change)
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        if close_sockets:
            self._parts.hub.abort_all()
        if change.get("lose_outputs"):
            self._parts.storage.lose_outputs()
        return await self.show_faults(request)

    async def show_stats(self, request: web.Request) -> web.Response:
        return web.json_response(self._parts.stats.as_json())
