"""Clients' files as clients see them."""

from pydantic import BaseModel, Field

from comfyq.domain.files.asset import Asset
from comfyq.domain.files.sources import ASSET
from comfyq.wire.times import Time


class AssetView(BaseModel):
    """A stored file. The same bytes are one and the same asset."""

    id: str
    source: str = Field(description="What a request says where it takes a file.")
    filename: str
    content_type: str = Field(description="As it was sent; what is in it is checked by its job.")
    size: int = Field(description="Bytes.")
    blake3: str = Field(description="Hex digest of the file.")
    url: str = Field(description="Of this description.")
    created_at: Time
    expires_at: Time = Field(description="Each use moves it on.")

    @classmethod
    def of(cls, asset: Asset, *, url: str) -> "AssetView":
        return cls(
            id=asset.id,
            source=f"{ASSET}{asset.id}",
            filename=asset.filename,
            content_type=asset.content_type,
            size=asset.size,
            blake3=asset.blake3,
            url=url,
            created_at=asset.created_at,
            expires_at=asset.expires_at,
        )


class AssetList(BaseModel):
    """A page of stored files, newest first."""

    assets: list[AssetView]
    next_cursor: str | None = Field(description="`cursor` of the next page; null: there is none.")
