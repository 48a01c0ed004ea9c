"""Ports for webhooks: other people's servers, and the doorbell of who sends to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from comfyq.domain.caller import TenantId
from comfyq.domain.job import JobId


class WebhookKey(NamedTuple):
    """Where a delivery is stored: its job, and its place among the job's."""

    job_id: JobId
    place: str


class WebhookDoorbell(Protocol):
    """Tell whoever sends deliveries that some are due. A lost ring costs time, never a delivery:
    the reaper rings again."""

    async def ring(
        self, keys: Sequence[WebhookKey], *, at: datetime, tenant: TenantId | None
    ) -> None:
        """Have ``keys`` sent at ``at`` or soon after; raises QueueUnavailable.

        ``tenant`` is whose they are, so that those of one tenant hold up no other's (None: of
        several, or nobody knows).
        """
        ...


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    code: int
    retry_after: str | None = None  # the header, as it came


class WebhookUnsent(Exception):
    """There is no answer; the message says why for people, without the URL's query."""


class WebhookPost(Protocol):
    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, tenant: TenantId
    ) -> WebhookAnswer:
        """Post ``body`` to a URL that a tenant has named, and return the answer, whatever its
        status: a redirect is one.

        Raises:
            WebhookUnsent: its address is one that nothing is sent to, or no answer came in time.
        """
        ...
