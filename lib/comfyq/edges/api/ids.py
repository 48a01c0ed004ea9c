"""Ids in paths, and the parts of signed links.

An id that is no UUID is answered 404 without a read of the table.
"""

import re
from typing import Annotated

from fastapi import Path, Query
from pydantic import AfterValidator

from comfyq.domain.caller import MAX_TENANT_CHARS, TENANT_PATTERN, TenantId
from comfyq.domain.errors import (
    AssetNotFound,
    BatchNotFound,
    JobNotFound,
    NotFound,
    UploadNotFound,
)
from comfyq.domain.files.asset import AssetId
from comfyq.domain.files.upload import UploadId
from comfyq.domain.job import JobId
from comfyq.domain.submission.batch import BatchId

MAX_LINK_CHARS = 100

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DESCRIBED = Path(description="A UUID.")


def _uuid_or(missing: type[NotFound], noun: str) -> AfterValidator:
    """Check for a UUID in any case and pass it on in lower case; raise ``missing`` for others.

    A domain error is not a ValueError, so it passes through validation to the handler that maps
    it to 404.
    """

    def check(text: str) -> str:
        if not UUID.fullmatch(text.lower()):
            raise missing(f"there is no such {noun}; its id would be a UUID")
        return text.lower()

    return AfterValidator(check)


JobIdInPath = Annotated[JobId, DESCRIBED, _uuid_or(JobNotFound, "job")]
BatchIdInPath = Annotated[BatchId, DESCRIBED, _uuid_or(BatchNotFound, "batch")]
BatchIdInQuery = Annotated[
    Annotated[BatchId, _uuid_or(BatchNotFound, "batch")] | None,
    Query(description="Jobs of this batch alone, those of its last requests first."),
]
AssetIdInPath = Annotated[AssetId, DESCRIBED, _uuid_or(AssetNotFound, "asset")]
UploadIdInPath = Annotated[UploadId, DESCRIBED, _uuid_or(UploadNotFound, "upload")]

LinkPart = Annotated[
    str, Query(description="As in the link."), AfterValidator(lambda text: text[:MAX_LINK_CHARS])
]

TenantInPath = Annotated[TenantId, Path(max_length=MAX_TENANT_CHARS, pattern=TENANT_PATTERN)]
TenantInQuery = Annotated[
    TenantId | None,
    Query(
        max_length=MAX_TENANT_CHARS,
        pattern=TENANT_PATTERN,
        description="Another tenant than your own, for the scope `operator` alone.",
    ),
]
