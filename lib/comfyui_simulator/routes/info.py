"""Routes that describe the server."""

import sys

from aiohttp import web

from comfyui_simulator.messages import JsonObject
from comfyui_simulator.parts import Parts

MEMORY_BYTES = 24 * 1024**3
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")
SOUNDS = (".wav", ".flac", ".mp3", ".ogg", ".opus")


def routes(parts: Parts) -> list[web.RouteDef]:
    desk = InfoRoutes(parts)
    return [
        web.get("/object_info", desk.object_info),
        web.get("/object_info/{node_class}", desk.node_info),
        web.get("/system_stats", desk.system_stats),
        web.get("/features", desk.features),
        web.get("/embeddings", desk.embeddings),
    ]


class InfoRoutes:
    """Handlers of one simulator."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def object_info(self, request: web.Request) -> web.Response:
        return web.json_response(self._parts.catalogue.object_info(self._uploads()))

    async def node_info(self, request: web.Request) -> web.Response:
        name = request.match_info["node_class"]
        if self._parts.catalogue.get(name) is None:
            return web.json_response({})
        return web.json_response({name: self._parts.catalogue.node_info(name, self._uploads())})

    async def system_stats(self, request: web.Request) -> web.Response:
        wire = self._parts.settings.wire
        system = {
            "os": wire.operating_system,
            "ram_total": MEMORY_BYTES,
            "ram_free": MEMORY_BYTES,
            "comfyui_version": wire.version,
            "python_version": sys.version,
            "pytorch_version": "none",
            "embedded_python": False,
            "argv": ["simulator"],
            "simulated": True,
        }
        return web.json_response({"system": system, "devices": [_device()]})

    async def features(self, request: web.Request) -> web.Response:
        return web.json_response(self._parts.settings.wire.features)

    async def embeddings(self, request: web.Request) -> web.Response:
        return web.json_response([])

    def _uploads(self) -> dict[str, list[str]]:
        storage = self._parts.storage
        return {"image": storage.inputs(*PICTURES), "audio": storage.inputs(*SOUNDS)}


def _device() -> JsonObject:
    return {
        "name": "simulated",
        "type": "cpu",
        "index": None,
        "vram_total": MEMORY_BYTES,
        "vram_free": MEMORY_BYTES,
        "torch_vram_total": MEMORY_BYTES,
        "torch_vram_free": MEMORY_BYTES,
    }
