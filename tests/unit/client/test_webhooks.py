"""Webhooks, by the specification's own library and by ours."""

import json
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook as Reference

from comfyq.client import BadWebhook, verify_webhook
from comfyq.domain.webhook.signature import secret_of, signed_headers

OLD, NEW = secret_of(bytes(range(32))), secret_of(bytes(range(32, 64)))
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
BODY = json.dumps(
    {
        "type": "job.completed",
        "timestamp": "2026-11-27T11:59:59Z",
        "data": {"id": "a", "status": "completed", "outputs": [{"index": 0, "kind": "image"}]},
    }
).encode()


def signed(*secrets: str, body: bytes = BODY, at: datetime = NOW) -> dict[str, str]:
    return signed_headers("msg_1", body, secrets, now=at)


def verified(headers: dict[str, str], *secrets: str, body: bytes = BODY) -> str:
    return verify_webhook(body, headers, secrets, now=NOW.timestamp()).id


def test_what_the_server_signs_is_believed_and_read() -> None:
    webhook = verify_webhook(BODY, signed(NEW, OLD), OLD, now=NOW.timestamp())
    assert (webhook.id, webhook.type) == ("msg_1", "job.completed")
    assert (webhook.data.status, webhook.data.outputs[0].kind) == ("completed", "image")
    assert webhook.timestamp == datetime(2026, 11, 27, 11, 59, 59, tzinfo=UTC)


def test_what_the_reference_signs_is_believed_now() -> None:
    now = datetime.now(UTC)  # noqa: TID251 - the clock of whoever receives it
    headers = {
        "Webhook-Id": "msg_2",
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": Reference(NEW).sign("msg_2", now, BODY.decode()),
    }
    assert verify_webhook(BODY, headers, [OLD, NEW]).id == "msg_2"


def test_the_published_vector_is_believed() -> None:
    """https://github.com/standard-webhooks/standard-webhooks, tests of its libraries."""
    signature = "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="  # pragma: allowlist secret
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",  # pragma: allowlist secret
        "webhook-timestamp": "1614265330",
        "webhook-signature": f"v1,{signature}",
    }
    secret = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # pragma: allowlist secret
    body = b'{"test": 2432232314}'
    told = verify_webhook(body, headers, secret, now=1_614_265_330)
    assert told.id == headers["webhook-id"]
    with pytest.raises(BadWebhook, match="none of the secrets"):
        verify_webhook(body.replace(b" ", b""), headers, secret, now=1_614_265_330)


def test_secrets_that_are_changed_are_both_good() -> None:
    assert verified(signed(NEW, OLD), OLD) == "msg_1", "the receiver has the one before"
    assert verified(signed(NEW), OLD, NEW) == "msg_1", "the receiver has both"
    assert verified(signed(OLD), OLD, NEW) == "msg_1"


@pytest.mark.parametrize(
    ("headers", "body", "said"),
    [
        (signed(OLD), BODY, "none of the secrets"),
        (signed(NEW), BODY + b" ", "none of the secrets"),
        (signed(NEW) | {"webhook-id": "msg_9"}, BODY, "none of the secrets"),
        (signed(NEW) | {"webhook-signature": "v1a,xyz v1, é"}, BODY, "none of the secrets"),
        (signed(NEW, at=NOW.replace(hour=11)), BODY, "is the clock right"),
        (signed(NEW, at=NOW.replace(hour=13)), BODY, "is the clock right"),
        (signed(NEW) | {"webhook-timestamp": "now"}, BODY, "no number of seconds"),
        ({"webhook-id": "msg_1"}, BODY, "no header webhook-timestamp"),
        (signed(NEW, body=b"no"), b"no", "no JSON"),
        (signed(NEW, body=b"[]"), b"[]", "no JSON object"),
    ],
)
def test_everything_else_is_not(headers: dict[str, str], body: bytes, said: str) -> None:
    with pytest.raises(BadWebhook, match=said):
        verified(headers, NEW, body=body)


@pytest.mark.parametrize("secrets", [[], ["whsec_?"], [""], ["whsec_"], [NEW, ""], [OLD[:20]]])
def test_a_receiver_without_a_usable_secret_is_told(secrets: list[str]) -> None:
    with pytest.raises(ValueError, match="secret"):
        verify_webhook(BODY, signed(NEW), secrets, now=NOW.timestamp())
