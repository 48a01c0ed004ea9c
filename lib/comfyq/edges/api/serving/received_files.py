"""Files that requests bring along, stored while they arrive."""

from collections.abc import AsyncIterator, Callable

from comfyq.domain.caller import Caller
from comfyq.domain.files.asset import Asset
from comfyq.domain.files.media_types import told_or_seen
from comfyq.edges.api.multipart import headed
from comfyq.services.files.uploads import Uploads

Check = Callable[[bytes], None]
"""(how a file begins, nothing for an empty one): raises what refuses it."""


async def stored(
    uploads: Uploads,
    caller: Caller,
    chunks: AsyncIterator[bytes],
    *,
    filename: str,
    content_type: str,
    check: Check,
) -> Asset:
    """Store a file of the type that its client told, or that it begins like.

    Raises:
        What ``check`` and ``Uploads.add`` raise, and reading ``chunks``.
    """
    head, whole = await headed(chunks)
    check(head)
    kind = told_or_seen(content_type, head)
    return await uploads.add(caller, whole, filename=filename, content_type=kind)
