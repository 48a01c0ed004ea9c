"""The web page at ``/``: files of the package, which talk to the public API alone.

``/`` is asked for again at each visit and answered 304 while nothing has changed. Everything else
stands below a folder that is named after the content of all files: browsers keep it for good.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from html import escape
from http import HTTPStatus
from pathlib import Path
from string import Template

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FILES = Path(__file__).with_name("files")
INDEX = "index.html"
FOLDER = "page"  # what the addresses of all files but the first begin with
TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
NO_KEYS = '<meta name="keys" content="none">'
# Whole lines of comments: a seventh of the page, and nothing to browsers.
COMMENTS = re.compile(rb"^[ \t]*(?://.*|/\*\*(?:[^*]|\*(?!/))*\*/)\n", re.MULTILINE)
# blob: pictures that are about to be sent; data: previews. A page that is framed could be made to
# press its own buttons.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:{storage}; "
    "media-src 'self' blob:{storage}; connect-src 'self'{storage}{issuer}; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
ASKS = '<meta name="callers" content="known">'
VISIT = {"Cache-Control": "no-cache"}
FOR_GOOD = {"Cache-Control": "public, max-age=31536000, immutable"}


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file as it is served."""

    content: bytes
    media_type: str

    @property
    def etag(self) -> str:
        return f'"{_digest(self.content)}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """The issuer at which people sign in, and the public client that the page is to it."""

    issuer: str
    client: str
    scope: str
    origins: Sequence[str]  # that the page asks for the issuer's documents and for tokens

    @property
    def content(self) -> str:
        named = {"issuer": self.issuer, "client": self.client, "scope": self.scope}
        return f'<meta name="sign-in" content="{escape(json.dumps(named))}">'


class Site:
    """The files of a folder, read once; the page may show files from ``storage``, the origins to
    which links to outputs lead, and asks the issuer of ``sign_in`` for tokens. It offers API
    keys, to make them and to sign in, where the server ``takes_keys``. Unless that ``is_open``, it
    asks for nothing before somebody has signed in."""

    def __init__(
        self,
        folder: Path = FILES,
        *,
        storage: Sequence[str] = (),
        sign_in: SignIn | None = None,
        takes_keys: bool = True,
        is_open: bool = True,
    ) -> None:
        policy = POLICY.format(
            storage=_sources(storage), issuer=_sources(sign_in.origins if sign_in else ())
        )
        self._headers = {**HEADERS, "Content-Security-Policy": policy}
        files = dict(_read(folder))
        index = files.pop(INDEX)
        self._files = files
        self.version = _digest(*(part for name, file in files.items() for part in (name, file)))
        base = f"{FOLDER}/{self.version}"
        names = {
            "base": base,
            "preloads": "\n".join(_preloads(files, base)),
            "asks": "" if is_open else ASKS,
            "sign_in": sign_in.content if sign_in else "",
            "keys": "" if takes_keys else NO_KEYS,
        }
        filled = Template(index.decode()).substitute(names)
        self._index = PageFile(filled.encode(), TYPES[".html"])

    @property
    def weight(self) -> int:
        """The bytes that a browser fetches to show the page for the first time."""
        return len(self._index.content) + sum(map(len, self._files.values()))

    @property
    def routes(self) -> Sequence[Route]:
        return (
            Route("/", self._show, include_in_schema=False),
            Route(f"/{FOLDER}/{self.version}/{{name:path}}", self._file, include_in_schema=False),
        )

    async def _show(self, request: Request) -> Response:
        return _answer(request, self._index, {**self._headers, **VISIT})

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        content = self._files.get(name)
        if content is None:
            return Response("there is no such file of the page", HTTPStatus.NOT_FOUND)
        file = PageFile(content, TYPES[Path(name).suffix])
        return _answer(request, file, {**self._headers, **FOR_GOOD})


def _sources(origins: Sequence[str]) -> str:
    return "".join(f" {origin}" for origin in origins)


def _read(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files that browsers get, by their names below ``folder``."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in TYPES:
            content = path.read_bytes()
            if path.suffix == ".js":
                content = COMMENTS.sub(b"", content)
            yield path.relative_to(folder).as_posix(), content


def _preloads(files: Mapping[str, bytes], base: str) -> Iterator[str]:
    """Name every module, so that browsers fetch all at once and not one after another's imports."""
    for name in files:
        if name.endswith(".js"):
            yield f'<link rel="modulepreload" href="{base}/{name}">'


def _answer(request: Request, file: PageFile, headers: Mapping[str, str]) -> Response:
    headers = {**headers, "ETag": file.etag}
    named = request.headers.get("if-none-match", "")
    if file.etag in named or named == "*":
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)


def _digest(*parts: str | bytes) -> str:
    digest = blake2b(digest_size=8)
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
    return digest.hexdigest()
