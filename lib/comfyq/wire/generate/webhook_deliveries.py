"""Deliveries of webhooks as the clients of their job see them."""

from typing import Literal

from pydantic import BaseModel, Field

from comfyq.domain.webhook_delivery import WebhookDelivery
from comfyq.wire.times import Time


class DeliveryView(BaseModel):
    """One webhook, and what became of it."""

    id: str = Field(description="`webhook-id`; the same for each try.")
    type: str = Field(description="What it tells.", examples=["job.completed"])
    timestamp: Time = Field(description="When that happened.")
    status: Literal["pending", "delivered", "failed", "dropped"] = Field(
        description="`failed`: given up; `dropped`: there was nobody to send it to."
    )
    attempts: int = Field(description="Tries that have begun.")
    response_code: int | None = Field(description="HTTP status of the last answer.")
    error: str | None = Field(description="Why the last try failed.")
    next_try_at: Time | None = Field(description="Of a pending one; a try may run until then.")

    @classmethod
    def of(cls, delivery: WebhookDelivery) -> "DeliveryView":
        return cls.model_validate(
            {
                "id": delivery.id,
                "type": f"job.{delivery.event}",
                "timestamp": delivery.at,
                "status": delivery.state.value,
                "attempts": delivery.attempts,
                "response_code": delivery.code,
                "error": delivery.error,
                "next_try_at": delivery.due_at if delivery.is_pending else None,
            }
        )


class DeliveryList(BaseModel):
    """The webhooks of a job, the oldest first; of those that tell its progress, the last one."""

    deliveries: list[DeliveryView]
