"""API keys and tickets as clients see them."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from comfyq.domain.api_key import ApiKey
from comfyq.domain.caller import MAX_TENANT_CHARS, TENANT_PATTERN, Scope, TenantId
from comfyq.wire.times import Time

MAX_NAME_CHARS = 100
LONGEST_S = 10 * 366 * 86_400
MOST_A_MINUTE = 1_000_000
NAMED_ALONE = (Scope.METRICS, Scope.ADMIN, Scope.OPERATOR)  # for more than one's own jobs
USUAL = tuple(scope for scope in Scope if scope not in NAMED_ALONE)  # of a key that names none


class KeyRequest(BaseModel):
    """A key to make."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[
        str,
        Field(min_length=1, max_length=MAX_NAME_CHARS, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$"),
    ]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))] = Field(
        default=list(USUAL),
        description="What its holder may do; unset: all but `metrics`, `admin` and `operator`, as "
        "far as you may give them.",
    )
    tenant: (
        Annotated[TenantId, Field(max_length=MAX_TENANT_CHARS, pattern=TENANT_PATTERN)] | None
    ) = Field(
        default=None,
        description="Whose jobs and files its holder sees; null: your own tenant. Another one is "
        "for the scope `operator` alone.",
    )
    expires_in_s: Annotated[int, Field(ge=1, le=LONGEST_S)] | None = Field(
        default=None,
        description="It expires after so many seconds; null: never, or with the key that makes it.",
    )

    requests_per_minute: Annotated[int, Field(ge=1, le=MOST_A_MINUTE)] | None = Field(
        default=None,
        description="So many with this key; null: as many as with any other "
        "key, or as with yours if it has a number of its own.",
    )

    @property
    def names_scopes(self) -> bool:
        return "scopes" in self.model_fields_set

    @property
    def lives(self) -> timedelta | None:
        return None if self.expires_in_s is None else timedelta(seconds=self.expires_in_s)


class KeyView(BaseModel):
    """A key, without what its holder shows."""

    id: str
    tenant: str = Field(description="Whose jobs and files its holder sees.")
    name: str
    scopes: list[Scope]
    created_at: Time
    expires_at: Time | None = Field(description="null: never.")
    last_used_at: Time | None = Field(description="To the hour; null: never.")
    requests_per_minute: int | None = Field(description="null: as many as with any other key.")

    @classmethod
    def of(cls, key: ApiKey) -> "KeyView":
        return cls.model_validate(cls.fields_of(key))

    @staticmethod
    def fields_of(key: ApiKey) -> dict[str, object]:
        return {
            "id": key.id,
            "tenant": key.tenant,
            "name": key.name,
            "scopes": sorted(key.scopes),
            "created_at": key.created_at,
            "expires_at": key.expires_at,
            "last_used_at": key.last_used_at,
            "requests_per_minute": key.requests_per_minute,
        }


class NewKeyView(KeyView):
    """A key that was just made."""

    key: str = Field(description="What its holder shows. It is not stored: no other answer has it.")

    @classmethod
    def made(cls, key: ApiKey, text: str) -> "NewKeyView":
        return cls.model_validate({**cls.fields_of(key), "key": text})


class KeyList(BaseModel):
    """The keys of a tenant, the oldest first."""

    keys: list[KeyView]


class TicketRequest(BaseModel):
    """A socket or stream that a browser is going to open."""

    model_config = ConfigDict(extra="forbid")

    job_id: Annotated[str, Field(max_length=100)] | None = Field(
        default=None,
        description="The one job that may be followed through it; null: any, and batches.",
    )


class TicketView(BaseModel):
    """A ticket for one socket or stream."""

    ticket: str = Field(description="The value of `?ticket=` in the socket's URL; lets in once.")
    expires_at: Time
