"""Who is told of a new job, and of what: as its request says, or else the tenant's default."""

from dataclasses import dataclass

from comfyq.domain.caller import Caller
from comfyq.domain.errors import FieldError, InvalidParameters
from comfyq.domain.public_addresses import Allowed
from comfyq.domain.submission.request import Request
from comfyq.domain.webhook.events import ENDS, WebhookEvent
from comfyq.domain.webhook.target import WebhookTarget
from comfyq.domain.webhook.urls import unreachable
from comfyq.services.limits.known_tenants import KnownTenants


@dataclass(frozen=True, slots=True)
class ChosenWebhook:
    target: WebhookTarget | None = None  # None: nobody is told
    events: tuple[WebhookEvent, ...] = ()


NOBODY = ChosenWebhook()


class WebhookChoice:
    def __init__(self, tenants: KnownTenants, *, allowed: Allowed) -> None:
        self._tenants = tenants
        self._allowed = allowed  # to be told although it is not public

    async def of(self, caller: Caller, request: Request) -> ChosenWebhook:
        """Return who is told of the job of a request. Whom a caller names that may not read is not
        told what the job has made: its receiver would read for it.

        Raises:
            InvalidParameters: the request names events alone, and there is no default to tell; or
                it names a URL to which nothing would ever be sent.
            TableUnavailable.
        """
        events = request.webhook_events
        if events is not None and not events:
            return NOBODY
        if request.webhook_url is not None:
            target = WebhookTarget(
                request.webhook_url, request.base_url, sees_outputs=caller.may_show
            )
            self.require_reachable(target)
            return ChosenWebhook(target, ENDS if events is None else events)
        default = (await self._tenants.get(caller.tenant)).webhook
        if default is None or default.gone_at is not None:
            if events is not None:
                raise _nobody_to_tell()
            return NOBODY
        target = WebhookTarget(None, request.base_url)
        return ChosenWebhook(target, default.events if events is None else events)

    def require_reachable(self, target: WebhookTarget | None) -> None:
        """Raise InvalidParameters if nothing would ever be sent to a job's own receiver."""
        if target is None or target.url is None:
            return
        if (why := unreachable(target.url, self._allowed)) is not None:
            raise InvalidParameters([FieldError("webhook_url", why)])


def _nobody_to_tell() -> InvalidParameters:
    return InvalidParameters(
        [
            FieldError(
                "webhook_events",
                "there is nobody to tell: name a `webhook_url`, or have an administrator set the "
                "tenant's default",
            )
        ]
    )
