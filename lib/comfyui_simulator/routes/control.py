"""What only the simulator has: failures on demand, and what it has done.

POST /simulator/faults   any fields of `faults.Faults`, or {"close_sockets": true}
GET  /simulator/faults   the faults in force
GET  /simulator/stats    `stats.Stats`
"""

from aiohttp import web

from comfyui_simulator.office import Office
from comfyui_simulator.routes.prompts import json_object


def routes(office: Office) -> list[web.RouteDef]:
    desk = ControlRoutes(office)
    return [
        web.get("/simulator/faults", desk.show_faults),
        web.post("/simulator/faults", desk.change_faults),
        web.get("/simulator/stats", desk.show_stats),
    ]


class ControlRoutes:
    """Handlers of one simulator."""

    def __init__(self, office: Office) -> None:
        self._office = office

    async def show_faults(self, request: web.Request) -> web.Response:
        return web.json_response(self._office.faults.as_json())

    async def change_faults(self, request: web.Request) -> web.Response:
        change = await json_object(request)
        close_sockets = change.pop("close_sockets", False)
        try:
            self._office.faults.change(change)
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        if close_sockets:
            self._office.hub.abort_all()
        if change.get("lose_outputs"):
            self._office.storage.lose_outputs()
        return await self.show_faults(request)

    async def show_stats(self, request: web.Request) -> web.Response:
        return web.json_response(self._office.stats.as_json())
