"""Files of this machine for jobs elsewhere."""

import mimetypes
import re
from pathlib import Path
from typing import Annotated

import typer
from blake3 import blake3

from comfyq.cli.client import ApiClient, Json, client_at
from comfyq.cli.errors import CannotStart
from comfyq.cli.options import AsJson, Url
from comfyq.cli.printing import print_json

LARGE_BYTES = 4_000_000  # a Lambda takes 6 MB, and API Gateway makes a third more of them
ELSEWHERE = ("http://", "https://", "data:", "asset:")
URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
CHUNK_BYTES = 1024 * 1024


def upload(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A picture, video or sound.")],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Store a file for jobs, and print what a request says for it: `asset:ID`."""
    asset = stored(client_at(ctx, url), file)
    if as_json:
        print_json(asset)
    else:
        typer.echo(asset["source"])


def source_of(client: ApiClient, given: str) -> str:
    """Return the source of a file for a request: URLs and assets unchanged, a path uploaded first.

    Raises:
        CannotStart: there is no such file, or it is a URL that is not fetched.
    """
    if given.lower().startswith(ELSEWHERE):
        return given
    if URL.match(given):
        raise CannotStart(f"{given}: only http and https are fetched; download it, name the file")
    return str(stored(client, Path(given))["source"])


def stored(client: ApiClient, file: Path) -> Json:
    """Store a file; a large one by a signed link, which may lead past the API."""
    if not file.is_file():
        raise CannotStart(f"{file}: there is no such file")
    content_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    if file.stat().st_size > LARGE_BYTES:
        return _announced(client, file, content_type)
    return client.store(file, content_type=content_type)


def _announced(client: ApiClient, file: Path, content_type: str) -> Json:
    offer = client.offer_upload(
        {
            "name": file.name,
            "content_type": content_type,
            "size_bytes": file.stat().st_size,
            "blake3": _digest(file),
        }
    )
    client.send(offer, file)
    return client.complete_upload(offer["id"])


def _digest(file: Path) -> str:
    hasher = blake3()
    with file.open("rb") as content:
        while chunk := content.read(CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.hexdigest()
