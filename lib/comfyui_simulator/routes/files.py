"""Files in and out."""

import asyncio
import io
import mimetypes
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web
from PIL import Image

from comfyui_simulator.nodes import pictures
from comfyui_simulator.parts import Parts
from comfyui_simulator.routes.prompts import server_error
from comfyui_simulator.storage import NotAllowed

# Named here too: not every machine's mime.types knows them.
CONTENT_TYPES = {
    ".webp": "image/webp",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".webm": "video/webm",
}


def routes(parts: Parts) -> list[web.RouteDef]:
    desk = FileRoutes(parts)
    return [
        web.get("/view", desk.view),
        web.post("/upload/image", desk.upload),
        web.post("/upload/mask", desk.upload),
    ]


class FileRoutes:
    """Handlers of one simulator."""

    def __init__(self, parts: Parts) -> None:
        self._storage = parts.storage

    async def view(self, request: web.Request) -> web.StreamResponse:
        """GET /view: the file, with Range and ETag, or a smaller picture of it."""
        query = request.query
        try:
            path = self._found(query)
        except NotAllowed as refusal:
            return web.Response(status=refusal.status)
        if path is None:
            return web.Response(status=404)
        headers = {"Content-Disposition": f'filename="{path.name}"'}
        if "preview" in query or query.get("channel") == "rgb":
            content, kind = await asyncio.to_thread(_converted, path, query.get("preview"))
            return web.Response(body=content, content_type=kind, headers=headers)
        return web.FileResponse(path, headers=headers | {"Content-Type": content_type(path)})

    def _found(self, query: Mapping[str, str]) -> Path | None:
        if "filename" not in query:
            return None
        return self._storage.find(
            query["filename"], query.get("subfolder", ""), query.get("type", "output")
        )

    async def upload(self, request: web.Request) -> web.Response:
        """POST /upload/image and /upload/mask (which is kept as it comes)."""
        form = await request.post()
        image = form.get("image")
        if not isinstance(image, web.FileField) or not image.filename:
            return web.Response(status=400)
        type_, subfolder = str(form.get("type", "input")), str(form.get("subfolder", ""))
        if type_ not in ("input", "output", "temp"):
            raise server_error()
        try:
            name = self._storage.upload(
                image.filename,
                image.file.read(),
                subfolder=subfolder,
                type_=type_,
                overwrite=form.get("overwrite") in ("true", "1"),
            )
        except NotAllowed:
            return web.Response(status=400)
        return web.json_response({"name": name, "subfolder": subfolder, "type": type_})


def content_type(path: Path) -> str:
    """Return the content type of a file by its suffix."""
    known = CONTENT_TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return known or "application/octet-stream"


def _converted(path: Path, preview: str | None) -> tuple[bytes, str]:
    with Image.open(path) as original:
        picture = original.convert("RGB")
    if preview is None:
        return pictures.encode_png(picture), "image/png"
    format_, _, quality = preview.partition(";")
    format_ = format_ if format_ in ("webp", "jpeg") else "webp"
    buffer = io.BytesIO()
    picture.save(buffer, format_, quality=int(quality) if quality.isdigit() else 90)
    return buffer.getvalue(), f"image/{format_}"
