"""Pictures with masks that clients paint over them, as ComfyUI's mask editor does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from comfyq.aio.chunks import once
from comfyq.domain.caller import Caller, TenantId
from comfyq.domain.errors import InputInvalid, RateLimited
from comfyq.domain.files.asset import Asset
from comfyq.domain.files.output import Output
from comfyq.ports.assets import Assets
from comfyq.ports.masks import Masks
from comfyq.ports.spool import Spooled
from comfyq.services.files.uploads import Uploads

MOST_WAITING = 8  # masks of a tenant
RETRY_AFTER_S = 5


@dataclass(slots=True)
class _Line:
    """The masks of a tenant that wait, of which one is put in at a time."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class MaskedFiles:
    """Puts one mask into its picture at a time: of each tenant one waits for that with the others'
    first ones, so that nobody's many delay another's one for long."""

    def __init__(
        self, *, uploads: Uploads, assets: Assets, masks: Masks | None, max_bytes: int
    ) -> None:
        """``masks`` is None where nothing decodes pictures."""
        self._uploads = uploads
        self._assets = assets
        self._masks = masks
        self.max_bytes = max_bytes  # of a picture, of a mask, and of what they make
        self._lines: dict[TenantId, _Line] = {}
        self._one = asyncio.Lock()

    @property
    def are_made(self) -> bool:
        return self._masks is not None

    async def store(
        self, caller: Caller, picture: Asset | Output, mask: Spooled, *, filename: str
    ) -> Asset:
        """Store a file of the caller's with another mask, as a file of its own.

        Raises:
            InputInvalid: one of them is no picture, or they do not belong together.
            OutputNotFound: the picture's file is gone.
            RateLimited: as many masks of the tenant wait as may.
            And what ``Uploads.add`` raises.
        """
        if self._masks is None:
            raise InputInvalid("nothing here decodes pictures")
        if not picture.key:
            raise InputInvalid("it is a text that a job has made, and no picture")
        if picture.size > self.max_bytes:
            raise InputInvalid(f"the picture has more than {self.max_bytes} bytes")
        async with self._turn(caller.tenant):  # nothing is in memory before
            content = b"".join([chunk async for chunk in self._assets.read(picture.key)])
            painted = await asyncio.to_thread(mask.path.read_bytes)
            masked = await self._masks.put_in(content, painted)
        if len(masked) > self.max_bytes:
            raise InputInvalid(f"with its mask it has more than {self.max_bytes} bytes")
        return await self._uploads.add(
            caller, once(masked), filename=filename, content_type="image/png"
        )

    @asynccontextmanager
    async def _turn(self, tenant: TenantId) -> AsyncIterator[None]:
        line = self._lines.setdefault(tenant, _Line())
        if line.waiting >= MOST_WAITING:
            raise RateLimited(
                f"{line.waiting} masks of your tenant wait already; send it again when they are "
                "put in",
                retry_after_s=RETRY_AFTER_S,
            )
        line.waiting += 1
        try:
            async with line.turn, self._one:
                yield
        finally:
            line.waiting -= 1
            if not line.waiting:
                self._lines.pop(tenant, None)
