"""Signatures, held against the libraries that receivers use."""

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from comfyq.domain.webhook.secrets import OVERLAP, WebhookSecrets
from comfyq.domain.webhook.signature import SECRET_PREFIX, secret_of, signed_headers

NEW, OLD, FOREIGN = (secret_of(bytes([n]) * 32) for n in range(3))
BODY = '{"type":"job.completed","data":{"id":"ä"}}'.encode()


def now() -> datetime:
    """The library compares with the machine's clock."""
    return datetime.now(UTC)  # noqa: TID251


@pytest.mark.parametrize(
    ("secret", "message_id", "sent_at", "body", "signature"),
    [
        (  # https://github.com/standard-webhooks/standard-webhooks, tests of its libraries
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",  # pragma: allowlist secret
            "msg_p5jXN8AQM9LWM0D4loKWxJek",  # pragma: allowlist secret
            1_614_265_330,
            b'{"test": 2432232314}',
            "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",  # pragma: allowlist secret
        ),
        (  # https://docs.svix.com/receiving/verifying-payloads/how-manual
            "plJ3nmyCDGBKInavdOK15jsl",
            "msg_loFOjxBNrRLzqYUf",
            1_731_705_121,
            b'{"event_type":"ping","data":{"success":true}}',
            "rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",  # pragma: allowlist secret
        ),
    ],
    ids=["Standard Webhooks", "Svix"],
)
def test_published_vectors(
    secret: str, message_id: str, sent_at: int, body: bytes, signature: str
) -> None:
    """We sign as the authors of the specification and Svix say, and as the library does."""
    at = datetime.fromtimestamp(sent_at, UTC)
    headers = signed_headers(message_id, body, [SECRET_PREFIX + secret], now=at)
    assert headers == {
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_at),
        "webhook-signature": f"v1,{signature}",
    }
    assert Webhook(secret).sign(message_id, at, body.decode()) == f"v1,{signature}"


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
