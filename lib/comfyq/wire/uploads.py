"""Files that clients send to asset storage themselves."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from comfyq.services.files.presigned_uploads import PresignedUpload
from comfyq.wire.times import Time

NO_CONTROL = r"^[^\u0000-\u001f\u007f-\u009f]*$"  # in names: line breaks and the like


class UploadRequest(BaseModel):
    """A file that is to be sent."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"name": "a.mp4", "content_type": "video/mp4", "size_bytes": 20_000_000}]
        },
    )

    name: Annotated[
        str,
        Field(
            description="Of the file, without control characters.",
            max_length=200,
            pattern=NO_CONTROL,
        ),
    ] = "file"
    content_type: Annotated[
        str,
        Field(
            description="Checked against the first bytes where its type is a known one.",
            max_length=200,
            pattern=r"^[\w.+-]+/[\w.+-]+$",
        ),
    ] = "application/octet-stream"
    size_bytes: Annotated[int, Field(description="Exactly.", ge=1, strict=True)]
    blake3: Annotated[
        str | None, Field(description="Hex digest, to be checked.", pattern=r"^[0-9a-f]{64}$")
    ] = None


class UploadUrls(BaseModel):
    complete: str = Field(description="`POST` to it once the file has been sent.")


class UploadView(BaseModel):
    """The place to send the file to."""

    id: str
    method: Literal["PUT"] = "PUT"
    url: str = Field(description="The storage's or this server's; the file is the body.")
    headers: Mapping[str, str] = Field(description="To be sent with it, as they are.")
    expires_at: Time
    urls: UploadUrls

    @classmethod
    def of(cls, offer: PresignedUpload, *, content_url: str, complete_url: str) -> "UploadView":
        """``content_url`` takes the file where the storage has no URL for it."""
        return cls(
            id=offer.upload.id,
            url=content_url if offer.link is None else offer.link.url,
            headers={} if offer.link is None else offer.link.headers,
            expires_at=offer.upload.expires_at,
            urls=UploadUrls(complete=complete_url),
        )
