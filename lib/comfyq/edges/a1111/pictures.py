"""Pictures that requests bring along in JSON: base64, data URIs, and URLs, which workers fetch."""

from comfyq.aio.chunks import once
from comfyq.domain.caller import Caller
from comfyq.domain.files.media_types import HEAD_BYTES, seen
from comfyq.domain.files.sources import ASSET, BadSource, is_data, is_url, read_data_uri
from comfyq.edges.a1111.refusals import refused
from comfyq.services.files.uploads import Uploads

PLAIN = "data:application/octet-stream;base64,"
PICTURE = "image/"


def content_of(text: str, field: str) -> bytes:
    """Decode a picture; raises InvalidRequest, if it is none."""
    return _decoded(text, field)[0]


async def stored(text: str, field: str, *, uploads: Uploads, caller: Caller) -> str:
    """Store a picture, and return its source; one that is a URL is its own.

    Raises:
        InvalidRequest: it is no picture.
        And what ``Uploads.add`` raises.
    """
    if is_url(text):
        return text
    content, content_type = _decoded(text, field)
    name = f"{field.partition('.')[0]}.{content_type.removeprefix(PICTURE)}"
    asset = await uploads.add(caller, once(content), filename=name, content_type=content_type)
    return f"{ASSET}{asset.id}"


def _decoded(text: str, field: str) -> tuple[bytes, str]:
    try:
        file = read_data_uri(text if is_data(text) else f"{PLAIN}{text}")
    except BadSource as bad:
        raise refused(field, f"is no picture in base64: {bad}") from None
    content_type = seen(file.content[:HEAD_BYTES])
    if not content_type.startswith(PICTURE):
        raise refused(field, "is no picture; send a PNG, JPEG or WebP file as base64")
    return file.content, content_type
