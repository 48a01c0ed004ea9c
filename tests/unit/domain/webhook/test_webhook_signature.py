"""Signatures, held against the libraries that receivers use."""

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from comfyq.domain.webhook.secrets import OVERLAP, WebhookSecrets
from comfyq.domain.webhook.signature import secret_of, signed_headers

NEW, OLD, FOREIGN = (secret_of(bytes([n]) * 32) for n in range(3))
BODY = '{"type":"job.completed","data":{"id":"ä"}}'.encode()


def now() -> datetime:
    """The library compares with the machine's clock."""
    return datetime.now(UTC)  # noqa: TID251


def test_receivers_take_either_secret_during_a_rotation() -> None:
    headers = signed_headers("msg_1", BODY, [NEW, OLD], now=now())
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (NEW, OLD):
        assert Webhook(secret).verify(BODY, headers)["type"] == "job.completed"
    with pytest.raises(WebhookVerificationError):
        Webhook(FOREIGN).verify(BODY, headers)


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": "60"},  # seconds later than it was signed
        {"webhook-signature": "v1,bm90IGl0cyBzaWduYXR1cmU="},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_each_header_is_signed(changed: dict[str, str]) -> None:
    headers = signed_headers("msg_1", BODY, [NEW], now=now())
    if later_s := changed.get("webhook-timestamp"):
        changed = {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + int(later_s))}
    headers |= changed
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(BODY, headers)


def test_an_old_message_is_refused() -> None:
    headers = signed_headers("msg_1", BODY, [NEW], now=now() - timedelta(hours=1))
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(BODY, headers)


def test_the_earlier_secret_signs_for_a_day() -> None:
    began = now()
    secrets = WebhookSecrets(current=OLD).rotated(NEW, now=began)
    assert secrets.at(began + OVERLAP - timedelta(seconds=1)) == [NEW, OLD]
    assert secrets.at(began + OVERLAP) == [NEW]
    assert secrets.rotated(FOREIGN, now=began).at(began) == [FOREIGN, NEW]
