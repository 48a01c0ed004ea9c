"""Webhooks as their receivers get them: checked, then read.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import hmac
import time
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from comfyq.client.errors import BadWebhook
from comfyq.client.messages import json_of
from comfyq.client.models.jobs import JobData
from comfyq.client.models.reading import Model

TOLERANCE_S = 300.0
PREFIX = "whsec_"
LEAST_SECRET_BYTES = 24  # as the specification has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook(Model):
    """The message of a webhook about a job."""

    id: str = ""  # the same for each try: whoever has seen it ignores it
    type: str = ""  # job.queued, job.started, job.progress, job.completed, job.failed, job.canceled
    timestamp: datetime | None = None  # when it happened
    data: JobData = field(default_factory=JobData)


def verify_webhook(
    body: bytes,
    headers: Mapping[str, str],
    secrets: str | Sequence[str],
    *,
    tolerance_s: float = TOLERANCE_S,
    now: float | None = None,
) -> Webhook:
    """Return what a webhook tells, once it is known to come from the server.

    ``body`` are the bytes as they came. One of the ``secrets`` has to have signed it: name the new
    one and the one before while they are changed. ``now`` are seconds since 1970.

    >>> verify_webhook(b"{}", {}, "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0")
    Traceback (most recent call last):
    comfyq.client.errors.BadWebhook: it has no header webhook-id

    Raises:
        BadWebhook: answer with 401, and believe nothing of it.
    """
    given = {name.lower(): value for name, value in headers.items()}
    message_id, sent_at, signatures = (_header(given, f"webhook-{each}") for each in HEADERS)
    _check_time(sent_at, tolerance_s, time.time() if now is None else now)  # noqa: TID251 - of whoever receives it
    signed = f"{message_id}.{sent_at}.".encode(errors="replace") + body
    expected = [_signature(signed, each) for each in _listed(secrets)]
    listed = signatures.encode(errors="replace").split(b" ")
    shown = [each[3:] for each in listed if each.startswith(b"v1,")]
    # Every pair is compared, so that the time tells nothing.
    if not any([hmac.compare_digest(e, s) for e in expected for s in shown]):
        raise BadWebhook("it is signed by none of the secrets")
    told = json_of(body)
    if not isinstance(told, dict):
        raise BadWebhook("it is signed, but no JSON object")
    return Webhook.read({**told, "id": message_id})


HEADERS = ("id", "timestamp", "signature")


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if not value:
        raise BadWebhook(f"it has no header {name}")
    return value


def _check_time(sent_at: str, tolerance_s: float, now: float) -> None:
    if not (sent_at.isascii() and sent_at.isdigit() and len(sent_at) < 20):
        raise BadWebhook("its webhook-timestamp is no number of seconds")
    if abs(now - int(sent_at)) > tolerance_s:
        raise BadWebhook(f"it was sent over {tolerance_s:g} s ago or ahead; is the clock right?")


def _listed(secrets: str | Sequence[str]) -> Sequence[str]:
    listed = [secrets] if isinstance(secrets, str) else list(secrets)
    if not listed:
        raise ValueError("verify_webhook needs a secret")
    return listed


def _signature(signed: bytes, secret: str) -> bytes:
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except NotBase64 as wrong:
        raise ValueError("a webhook secret is base64 after whsec_") from wrong
    if len(key) < LEAST_SECRET_BYTES:
        # an empty one, as of a variable that is not set, is known to everybody
        raise ValueError(f"a webhook secret has at least {LEAST_SECRET_BYTES} bytes; is it set?")
    return b64encode(hmac.new(key, signed, sha256).digest())
