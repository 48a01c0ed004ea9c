"""The secret by which processes of one machine may post to each other's sockets."""

import math
import secrets
from collections.abc import Awaitable, Callable
from functools import partial

from comfyq.aio.cached import Cached
from comfyq.domain.errors import NotifierUnavailable, Unavailable
from comfyq.ports.table import Table
from comfyq.records.secrets import SecretRecords


def sockets_secret(table: Table) -> Callable[[], Awaitable[bytes]]:
    """Return what reads the secret once: whoever reads the table may post to sockets.

    It raises NotifierUnavailable. API Gateway needs none of it: there IAM decides.
    """
    records = SecretRecords(table, new_secret=lambda: secrets.token_hex(32))
    stored = Cached(partial(records.shared, "sockets"), max_age_s=math.inf)

    async def read() -> bytes:
        try:
            return await stored.get()
        except Unavailable as away:
            raise NotifierUnavailable(f"the secret of sockets cannot be read: {away}") from away

    return read
