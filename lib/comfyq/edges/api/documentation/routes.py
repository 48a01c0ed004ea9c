"""``/docs`` and ``/redoc``: the API's description as pages, made of files of the package alone.

Anyone may see them, as ``/openapi.json``, which they show. Their links are relative: a stage or a
proxy may put a path in front.
"""

from collections.abc import Mapping
from pathlib import Path, PurePath

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from comfyq.edges.api.safe_headers import CSP

HERE = Path(__file__).parent
FRESH = {"Cache-Control": "no-cache"}  # browsers ask again, and are answered 304
# Nothing from elsewhere, and no script that stands in a page. Both pages make style sheets as they
# go; data: their own icons, blob: pictures that a request which is tried out is answered with.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE: Mapping[str, str] = {CSP: POLICY, **FRESH}
TYPES: Mapping[str, str] = {  # a machine's own table may say others, which browsers would refuse
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}

_files = StaticFiles(directory=HERE / "files")


async def show_docs(request: Request) -> Response:
    """Answer with Swagger UI, by which requests can be tried out."""
    return FileResponse(HERE / "docs.html", headers=PAGE)


async def show_redoc(request: Request) -> Response:
    """Answer with Redoc, which is for reading."""
    return FileResponse(HERE / "redoc.html", headers=PAGE)


async def show_file(request: Request) -> Response:
    """Answer with a file of the pages; 404: there is none of that name."""
    name = request.path_params["name"]
    answer = await _files.get_response(name, request.scope)
    answer.headers.update(FRESH)
    if media_type := TYPES.get(PurePath(name).suffix):
        answer.headers["Content-Type"] = media_type
    return answer


routes = (
    Route("/docs", show_docs, include_in_schema=False),
    Route("/docs/{name}", show_file, include_in_schema=False),
    Route("/redoc", show_redoc, include_in_schema=False),
)
