"""Content of files as asynchronous chunks."""

from collections.abc import AsyncIterator


async def once(content: bytes) -> AsyncIterator[bytes]:
    """Yield content that is there as one chunk."""
    yield content
