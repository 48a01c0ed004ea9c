"""The default webhook of a tenant, as its administrators see and change it."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from comfyq.domain.webhook.default import DefaultWebhook
from comfyq.domain.webhook.events import ENDS, WebhookEvent, events_of
from comfyq.domain.webhook.failing_receiver import FailingReceiver
from comfyq.domain.webhook.secrets import WebhookSecrets
from comfyq.domain.webhook.urls import MAX_URL_CHARS, shown_url, webhook_url_of
from comfyq.domain.webhook_delivery import Attempted
from comfyq.wire.times import Time


class WebhookChange(BaseModel):
    """Who is to be told of jobs whose requests name nobody."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[
        str,
        BeforeValidator(webhook_url_of),
        Field(
            max_length=MAX_URL_CHARS,
            description="An http or https URL, without a user; webhooks are posted to it.",
            examples=["https://example.com/comfyq"],
        ),
    ]
    events: Annotated[
        list[WebhookEvent],
        BeforeValidator(lambda value: list(events_of(value))),
        Field(min_length=1, description="What is told."),
    ] = list(ENDS)

    @property
    def webhook(self) -> DefaultWebhook:
        return DefaultWebhook(url=self.url, events=tuple(self.events))


class FailingReceiverView(BaseModel):
    """A receiver to which nothing arrives."""

    receiver: str = Field(description="Scheme, host and port.")
    since: Time = Field(description="The first webhook that did not arrive.")
    error: str
    paused_until: Time | None = Field(
        description="After three days it is tried once an hour alone: next then."
    )

    @classmethod
    def of(cls, receiver: FailingReceiver) -> "FailingReceiverView":
        return cls(
            receiver=receiver.origin,
            since=receiver.since,
            error=receiver.error,
            paused_until=receiver.paused_until,
        )


class WebhookView(BaseModel):
    """Who is told of jobs whose requests name nobody."""

    url: str | None = Field(
        description="With the beginning of its path, and without its query, since either may have "
        "a secret; null: nobody is told."
    )
    events: list[WebhookEvent]
    gone_at: Time | None = Field(
        description="It answered 410 then, and is sent nothing more until it is set again."
    )
    failing: list[FailingReceiverView] = Field(
        description="Receivers of any of your webhooks to which nothing arrives."
    )

    @classmethod
    def of(
        cls, webhook: DefaultWebhook | None, failing: Sequence[FailingReceiver]
    ) -> "WebhookView":
        receivers = [FailingReceiverView.of(each) for each in failing]
        if webhook is None:
            return cls(url=None, events=[], gone_at=None, failing=receivers)
        return cls(
            url=shown_url(webhook.url),
            events=list(webhook.events),
            gone_at=webhook.gone_at,
            failing=receivers,
        )


class WebhookSecretsView(BaseModel):
    """What receivers check signatures by."""

    secret: str = Field(description="`whsec_` and base64.")
    earlier_secret: str | None = Field(description="Signs as well, until `earlier_until`.")
    earlier_until: Time | None

    @classmethod
    def of(cls, secrets: WebhookSecrets) -> "WebhookSecretsView":
        return cls(
            secret=secrets.current,
            earlier_secret=secrets.earlier,
            earlier_until=secrets.earlier_until,
        )


class WebhookTest(BaseModel):
    """What came of a message of type `webhook.test`."""

    delivered: bool
    response_code: int | None
    error: str | None

    @classmethod
    def of(cls, attempted: Attempted) -> "WebhookTest":
        return cls(
            delivered=attempted.error is None,
            response_code=attempted.code,
            error=attempted.error,
        )
