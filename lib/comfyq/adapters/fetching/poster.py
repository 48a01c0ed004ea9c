"""Posting webhooks to servers that clients name, never to addresses that are not public.

Each post is one HTTP/1.1 request over a connection of its own, without redirects, cookies and
proxies. Of the answer the head alone is read: nothing that a server says is stored or shown.
"""

import asyncio
import re
import ssl
from collections.abc import Mapping, Sequence
from functools import cache
from urllib.parse import urlsplit

from comfyq import __version__
from comfyq.adapters.fetching.look_up import LookUp, SystemLookUp
from comfyq.domain.caller import TenantId
from comfyq.domain.public_addresses import Allowed, literal
from comfyq.domain.webhook.urls import PORTS
from comfyq.ports.webhooks import WebhookAnswer, WebhookUnsent

TOTAL_S = 5.0  # with the look-up of its name
MAX_HEAD_BYTES = 16 * 1024
MAX_INTERIM = 5  # answers before the one that counts, such as 103
STATUS = re.compile(rb"HTTP/1\.[01] ([1-9]\d\d)(?: [^\r\n]*)?\r?\n")
RETRY_AFTER = re.compile(rb"^retry-after:[ \t]*([^\r\n]{1,100})", re.IGNORECASE | re.MULTILINE)


class HttpPoster:
    """See the port. ``allowed`` may be posted to although it is not public."""

    def __init__(
        self,
        *,
        allowed: Allowed | None = None,
        look_up: LookUp | None = None,
        total_s: float = TOTAL_S,
    ) -> None:
        self._allowed = allowed or Allowed()
        self._look_up = look_up or SystemLookUp("names-of-receivers")
        self._total_s = total_s

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, tenant: TenantId
    ) -> WebhookAnswer:
        try:
            async with asyncio.timeout(self._total_s):
                return await self._posted(url, headers, body, tenant)
        except TimeoutError:
            raise WebhookUnsent(f"no answer came within {self._total_s:g} s") from None
        except ssl.SSLError as error:
            raise WebhookUnsent(
                "the receiver cannot be trusted: there is no TLS with a valid certificate"
            ) from error
        except asyncio.IncompleteReadError as error:
            raise WebhookUnsent("the receiver broke off before it had answered") from error
        except asyncio.LimitOverrunError as error:
            raise WebhookUnsent("the head of the receiver's answer is too large") from error
        except OSError as error:  # whose own words would tell internal addresses
            raise WebhookUnsent("the connection to the receiver failed") from error

    async def _posted(
        self, url: str, headers: Mapping[str, str], body: bytes, tenant: TenantId
    ) -> WebhookAnswer:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        addresses = await self._addresses(tenant, host, port)
        context = _tls() if parts.scheme == "https" else None
        reader, writer = await _connected(
            addresses, port, host=host, context=context, total_s=self._total_s
        )
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            writer.write(_head(target, parts.netloc, headers, len(body)) + body)
            await writer.drain()
            return await _answer(reader)
        finally:
            writer.transport.abort()

    async def _addresses(self, tenant: TenantId, host: str, port: int) -> Sequence[str]:
        """Return the addresses to connect to, each of which is checked: a second look-up could
        find others (DNS rebinding)."""
        # One message for a name without an address and one whose address is not public: two would
        # tell which names there are in our network. The address is left out for the same reason.
        is_literal = literal(host) is not None
        or_none = "" if is_literal else ", or has no address"
        unsent = WebhookUnsent(
            f"{host} is not in the public internet{or_none}; nothing is sent there "
            "(COMFYQ_WEBHOOK_ALLOW)"
        )
        try:
            found = [host] if is_literal else await self._look_up(tenant, host, port)
        except (OSError, UnicodeError) as error:  # UnicodeError: no name of a host, as `a..b`
            raise unsent from error
        for each in found:
            parsed = literal(each)
            if parsed is None or not self._allowed.permits(host, parsed):
                raise unsent
        return found


async def _connected(
    addresses: Sequence[str],
    port: int,
    *,
    host: str,
    context: ssl.SSLContext | None,
    total_s: float,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the first address that takes the connection; one that does not answer leaves the
    others their share of the time."""
    refused: OSError = OSError("there is no address")
    for address in addresses:
        try:
            async with asyncio.timeout(total_s / len(addresses)):
                return await asyncio.open_connection(
                    address,
                    port,
                    ssl=context,
                    server_hostname=None if context is None else host,
                    limit=MAX_HEAD_BYTES,
                )
        except ssl.SSLError:
            raise
        except OSError as error:
            refused = error
    raise refused


def _head(target: str, netloc: str, headers: Mapping[str, str], size: int) -> bytes:
    lines = {
        "Host": netloc,
        "User-Agent": f"comfyq/{__version__}",
        "Content-Type": "application/json",
        "Content-Length": str(size),
        "Connection": "close",
        **headers,
    }
    fields = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {target} HTTP/1.1\r\n{fields}\r\n".encode("ascii")


async def _answer(reader: asyncio.StreamReader) -> WebhookAnswer:
    for _ in range(MAX_INTERIM):
        head = await reader.readuntil(b"\r\n\r\n")
        status = STATUS.match(head)
        if status is None:
            break
        code = int(status[1])
        if code >= 200:
            asked = RETRY_AFTER.search(head)
            return WebhookAnswer(code, None if asked is None else asked[1].decode("latin-1"))
    raise WebhookUnsent("the receiver's answer is not valid HTTP")


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
