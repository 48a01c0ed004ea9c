"""Previews for clients that ask how far their pictures are: kept of the frames that are posted to
the request that waits for the pictures."""

import json
from typing import Any

from comfyq.domain.job import JobId
from comfyq.services.notify.job_waits import Seen
from comfyq.services.notify.newest_previews import NewestPreviews
from comfyq.wire.generate.frames import PREVIEW_BEGINS


def keeping(previews: NewestPreviews) -> Seen:
    """Return what takes the frames of one request."""

    def seen(frame: str) -> None:
        if frame.startswith(PREVIEW_BEGINS):
            fields: dict[str, Any] = json.loads(frame)
            previews.keep(JobId(fields["job_id"]), fields["data"])

    return seen
