"""What a client may use, and what it has used of it."""

from pydantic import BaseModel, Field

from comfyq.domain.caller import Caller, Scope
from comfyq.domain.token_bucket import WINDOW_S
from comfyq.services.operations.quotas import Quota
from comfyq.wire.times import Time


class RateView(BaseModel):
    """A limit on requests, whose tokens come back evenly."""

    of: str = Field(
        description="Whose it is: `key`, `subject` (of a token) or `tenant`.", examples=["tenant"]
    )
    limit: int = Field(description="Requests in a window, and at once.")
    window_s: int
    remaining: int
    full_in_s: int = Field(description="Until all of it is there again.")


class ShareView(BaseModel):
    """A limit, and what is used of it."""

    limit: int
    used: int


class DayView(BaseModel):
    """The jobs of a day."""

    limit: int | None = Field(description="null: as many as you like, and nobody counts.")
    used: int | None
    ends_at: Time


class QuotaView(BaseModel):
    """The limits that hold for a caller."""

    tenant: str
    scopes: list[Scope] = Field(description="What the caller may do.")
    requests: list[RateView] = Field(description="Empty: as many as you like.")
    jobs_per_day: DayView
    waiting_jobs: ShareView = Field(description="As counted some seconds ago at most.")
    stored_bytes: ShareView = Field(description="Of files that were sent, not of outputs.")
    output_bytes: ShareView | None = Field(
        description="Of the outputs of jobs; null: as many as you like, and nobody counts."
    )

    @classmethod
    def of(cls, caller: Caller, quota: Quota) -> "QuotaView":
        return cls(
            tenant=caller.tenant,
            scopes=sorted(caller.scopes),
            requests=[
                RateView(
                    of=each.of,
                    limit=each.limit,
                    window_s=WINDOW_S,
                    remaining=each.left,
                    full_in_s=each.full_in_s,
                )
                for each in quota.requests
            ],
            jobs_per_day=DayView(
                limit=quota.today.limit, used=quota.today.used, ends_at=quota.today.ends_at
            ),
            waiting_jobs=ShareView(limit=quota.waiting_jobs.limit, used=quota.waiting_jobs.used),
            stored_bytes=ShareView(limit=quota.stored_bytes.limit, used=quota.stored_bytes.used),
            output_bytes=None
            if (outputs := quota.output_bytes) is None
            else ShareView(limit=outputs.limit, used=outputs.used),
        )
