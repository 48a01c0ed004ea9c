"""Show files to one client of the Comfy API v2."""

from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Request

from comfyq.domain.files.asset import Asset
from comfyq.domain.job.output_id import output_id
from comfyq.edges.api.dependencies import services_of
from comfyq.edges.comfy_v2.links import ComfyLinks, comfy_links_of
from comfyq.edges.comfy_v2.stored import Found, JobOutput
from comfyq.services.limits.retention import Retention
from comfyq.wire.comfy_v2.assets import AssetView, StoredAssetView


class AssetViewServices(Protocol):
    """The services that showing a file needs."""

    @property
    def retention(self) -> Retention: ...


@dataclass(frozen=True, slots=True)
class AssetViews:
    services: AssetViewServices
    links: ComfyLinks

    async def found(self, found: Found) -> AssetView:
        if isinstance(found, Asset):
            return self._stored(found)
        return await self._made(found)

    def kept(self, asset: Asset, *, is_new: bool) -> StoredAssetView:
        """Show a file that a client has just stored, or had."""
        shown = self._stored(asset)
        return StoredAssetView(**shown.model_dump(), created_new=is_new)

    def _stored(self, asset: Asset) -> AssetView:
        """Show a file that a client stored; its link takes a key, for as long as it is kept."""
        return AssetView(
            id=asset.id,
            hash=f"blake3:{asset.blake3}",
            size_bytes=asset.size,
            content_type=asset.content_type,
            file_path=asset.filename,
            created_at=asset.created_at,
            url=self.links.content(asset.id),
            url_expires_at=asset.expires_at,
            expires_at=asset.expires_at,
            job_id=None,
        )

    async def _made(self, made: JobOutput) -> AssetView:
        job, output = made.job, made.output
        made_at = job.ended_at or job.created_at
        link = self.links.output(job.id, made.index)
        return AssetView(
            id=output_id(job.id, made.index),
            hash=f"blake3:{output.blake3}" if output.blake3 else None,
            size_bytes=output.size,
            content_type=output.content_type,
            file_path=output.filename,
            created_at=made_at,
            url=link.url,
            url_expires_at=link.expires_at,
            expires_at=made_at + await self.services.retention.of(job.tenant),
            job_id=job.id,
        )


async def asset_views_of(request: Request) -> AssetViews:
    return AssetViews(await services_of(request), await comfy_links_of(request))


AssetViewsOf = Annotated[AssetViews, Depends(asset_views_of)]
