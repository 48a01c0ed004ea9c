from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from comfyq.domain.errors import AssetsUnavailable
from comfyq.ports.assets import Assets, UploadLink
from comfyq.testing.faults.rules import Faults, Rule


class FaultyAssets:
    """A read is struck before its first byte."""

    def __init__(self, assets: Assets, rules: Sequence[Rule]) -> None:
        self._assets = assets
        self._faults = Faults(rules, port="assets", error=AssetsUnavailable)

    async def put(self, key: str, source: Path, *, content_type: str) -> None:
        await self._faults.around(
            "put", lambda: key, lambda: self._assets.put(key, source, content_type=content_type)
        )

    async def read(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        async def begin() -> AsyncIterator[bytes]:
            return self._assets.read(key, start=start, end=end)

        async for chunk in await self._faults.ask("read", lambda: key, begin):
            yield chunk

    async def delete(self, key: str) -> None:
        await self._faults.around("delete", lambda: key, lambda: self._assets.delete(key))

    async def link(
        self, key: str, *, expires_s: int, content_type: str, filename: str
    ) -> str | None:
        return await self._faults.ask(
            "link",
            lambda: key,
            lambda: self._assets.link(
                key, expires_s=expires_s, content_type=content_type, filename=filename
            ),
        )

    async def upload_link(
        self, key: str, *, expires_s: int, size: int, content_type: str
    ) -> UploadLink | None:
        return await self._faults.ask(
            "upload_link",
            lambda: key,
            lambda: self._assets.upload_link(
                key, expires_s=expires_s, size=size, content_type=content_type
            ),
        )
