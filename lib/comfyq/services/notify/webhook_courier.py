"""One message to one receiver: signed, posted, and its answer judged."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from comfyq.domain.caller import TenantId
from comfyq.domain.webhook.signature import signed_headers
from comfyq.domain.webhook_delivery import TIME, Attempted
from comfyq.ports.clock import Clock
from comfyq.ports.webhooks import WebhookAnswer, WebhookPost, WebhookUnsent
from comfyq.records.webhooks.secrets import WebhookSecretRecords
from comfyq.services.notify.receiver_watch import ReceiverWatch

GONE = "the receiver answered 410: it wants no more of them"
WAITING = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)  # heed Retry-After
MAX_DIGITS = 9  # of seconds in a Retry-After


class WebhookCourier:
    def __init__(
        self,
        *,
        secrets: WebhookSecretRecords,
        post: WebhookPost,
        watch: ReceiverWatch,
        clock: Clock,
    ) -> None:
        self._secrets = secrets
        self._post = post
        self._watch = watch
        self._clock = clock

    async def send(self, tenant: TenantId, message_id: str, url: str, body: bytes) -> Attempted:
        """Send a message once, signed by the tenant's secrets; a pause of its receiver is not
        looked at, but ended if it arrives. Raises TableUnavailable."""
        secrets = (await self._secrets.of(tenant)).at(self._clock.now())
        headers = signed_headers(message_id, body, secrets, now=self._clock.now())
        attempted = await self._posted(tenant, url, headers, body)
        await self._watch.note(tenant, url, attempted)
        return attempted

    async def _posted(
        self, tenant: TenantId, url: str, headers: Mapping[str, str], body: bytes
    ) -> Attempted:
        try:
            answer = await self._post.post(url, headers, body, tenant=tenant)
        except WebhookUnsent as why:
            return Attempted(error=str(why))
        return judged(answer, now=self._clock.now())


def judged(answer: WebhookAnswer, *, now: datetime) -> Attempted:
    """Return what an answer means: only 2xx is an arrival, and 410 asks for no more."""
    code = answer.code
    if 200 <= code < 300:
        return Attempted(code=code)
    if code == HTTPStatus.GONE:
        return Attempted(code=code, error=GONE, is_final=True)
    if 300 <= code < 400:
        redirected = f"the receiver answered {code}, and redirects are not followed: name the URL"
        return Attempted(code=code, error=redirected)
    asked = _asked_time(answer.retry_after, now) if code in WAITING else None
    error = f"the receiver answered {code}"
    if asked is not None and asked > now:
        error += f" and asked to be left alone until {asked:{TIME}}"
    return Attempted(code=code, error=error, not_before=asked)


def _asked_time(retry_after: str | None, now: datetime) -> datetime | None:
    """Return until when a Retry-After asks to wait, in UTC: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after"""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS:
        return now + timedelta(seconds=int(text))
    try:
        asked = parsedate_to_datetime(text)
        # one in a far zone at the end of the year 9999 is beyond all times of UTC
        return asked.replace(tzinfo=UTC) if asked.tzinfo is None else asked.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
