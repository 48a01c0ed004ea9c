"""The limits of one caller, with what is used of each."""

from collections.abc import Sequence
from dataclasses import dataclass

from comfyq.domain.caller import Caller
from comfyq.services.files.uploads import Uploads
from comfyq.services.limits.daily_jobs import Today
from comfyq.services.limits.rate_limit import Allowance
from comfyq.services.limits.submission_limits import SubmissionLimits


@dataclass(frozen=True, slots=True)
class Share:
    """What is used of a limit."""

    limit: int
    used: int


@dataclass(frozen=True, slots=True)
class Quota:
    """Everything that is limited for a caller; limits that nobody has set are not there."""

    requests: Sequence[Allowance]
    today: Today
    waiting_jobs: Share
    stored_bytes: Share
    output_bytes: Share | None  # None: as many as you like, and nobody counts


class Quotas:
    """Read what a caller may use, and what it has used of it."""

    def __init__(self, *, limits: SubmissionLimits, uploads: Uploads) -> None:
        self._limits = limits
        self._uploads = uploads

    async def of(self, caller: Caller) -> Quota:
        """Return the caller's limits. Its waiting jobs may have been counted seconds ago."""
        waiting, most_waiting = await self._limits.waiting.used(caller.tenant)
        outputs = await self._limits.outputs.used(caller.tenant)
        stored, most_stored = await self._uploads.used(caller.tenant)
        return Quota(
            requests=await self._limits.rate.standing(caller, fresh=True),
            today=await self._limits.daily.today(caller.tenant),
            waiting_jobs=Share(limit=most_waiting, used=waiting),
            stored_bytes=Share(limit=most_stored, used=stored),
            output_bytes=None if outputs is None else Share(limit=outputs[1], used=outputs[0]),
        )
