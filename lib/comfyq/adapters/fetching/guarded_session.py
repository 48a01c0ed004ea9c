"""The connections by which files are fetched from addresses that others have named."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from comfyq import __version__
from comfyq.adapters.fetching.resolver import GuardedResolver


@asynccontextmanager
async def guarded_session(
    resolver: GuardedResolver, *, connect_s: float, idle_s: float
) -> AsyncIterator[aiohttp.ClientSession]:
    """Open connections to where ``resolver`` lets them: each name is looked up for its own one, and
    nothing of one answer is sent with the next request. Bodies come as they were sent.

    ``connect_s`` is waited for a connection, ``idle_s`` for the next bytes.
    """
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, force_close=True),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_s, sock_read=idle_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"User-Agent": f"comfyq/{__version__}", "Accept-Encoding": "identity"},
    ) as session:
        yield session
