"""The signature of Standard Webhooks.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

SECRET_PREFIX = "whsec_"  # noqa: S105 - it begins every secret, and is none
SECRET_BYTES = 32  # the specification allows 24 to 64


def secret_of(drawn: bytes) -> str:
    """Return random bytes as the text of a secret."""
    return SECRET_PREFIX + b64encode(drawn).decode()


def signed_headers(
    message_id: str, body: bytes, secrets: Sequence[str], *, now: datetime
) -> dict[str, str]:
    """Return the headers that sign a message, once by each secret.

    The id is the same whenever the message is sent again; the time is that of this sending.
    """
    timestamp = str(int(now.timestamp()))
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = [f"v1,{_signature(signed, secret)}" for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def _signature(signed: bytes, secret: str) -> str:
    key = b64decode(secret.removeprefix(SECRET_PREFIX))
    return b64encode(hmac.new(key, signed, sha256).digest()).decode()
