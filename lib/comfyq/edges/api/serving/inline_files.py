"""Files within answers of JSON, as base64."""

from base64 import b64encode

from comfyq.domain.files.output import Output
from comfyq.edges.api.output_views import ANSWER_BYTES
from comfyq.services.files.downloads import Downloads

HELD_BYTES = 64 * 1024 * 1024  # of files in an answer that a server of ours sends itself


def room_for_files(*, can_hold: bool) -> int:
    """Return how many bytes of files an answer has room for; ``can_hold``: no function makes it."""
    return HELD_BYTES if can_hold else ANSWER_BYTES * 3 // 4  # four for three


async def encoded(downloads: Downloads, output: Output) -> str:
    """Return the content of an output as base64; raises OutputNotFound."""
    chunks = [chunk async for chunk in downloads.read(output, 0, output.size)]
    return b64encode(b"".join(chunks)).decode()
