"""Pictures with masks that clients paint over them, as ComfyUI's mask editor does."""

from comfyq.aio.chunks import once
from comfyq.domain.caller import Caller
from comfyq.domain.errors import InputInvalid
from comfyq.domain.files.asset import Asset
from comfyq.domain.files.output import Output
from comfyq.ports.assets import Assets
from comfyq.ports.masks import Masks
from comfyq.services.files.uploads import Uploads


class MaskedFiles:
    def __init__(
        self, *, uploads: Uploads, assets: Assets, masks: Masks | None, max_bytes: int
    ) -> None:
        """``masks`` is None where nothing decodes pictures."""
        self._uploads = uploads
        self._assets = assets
        self._masks = masks
        self.max_bytes = max_bytes  # of a picture, and of a mask

    @property
    def are_made(self) -> bool:
        return self._masks is not None

    async def store(
        self, caller: Caller, picture: Asset | Output, mask: bytes, *, filename: str
    ) -> Asset:
        """Store a file of the caller's with another mask, as a file of its own.

        Raises:
            InputInvalid: one of them is no picture, or they do not belong together.
            OutputNotFound: the picture's file is gone.
            And what ``Uploads.add`` raises.
        """
        if self._masks is None:
            raise InputInvalid("nothing here decodes pictures")
        if not picture.key:
            raise InputInvalid("it is a text and no picture")
        if picture.size > self.max_bytes:
            raise InputInvalid(f"the picture has more than {self.max_bytes} bytes")
        content = b"".join([chunk async for chunk in self._assets.read(picture.key)])
        masked = await self._masks.put_in(content, mask)
        return await self._uploads.add(
            caller, once(masked), filename=filename, content_type="image/png"
        )
