"""Remedies for the errors of AWS's services."""

from collections.abc import Sequence

REFUSED = ("AccessDenied", "AccessDeniedException", "not authorized", "ForbiddenException")

_REMEDIES: Sequence[tuple[Sequence[str], str]] = (
    (
        REFUSED,
        "give these credentials the stack's WorkerPolicy (its output WorkerPolicyArn), and "
        "compare the name with the stack's outputs",
    ),
    (
        ("RequestTimeTooSkewed", "Signature expired", "Signature not yet current", "InvalidSignat"),
        "set this machine's clock right: AWS refuses requests that are over five minutes off",
    ),
    (
        ("ExpiredToken", "InvalidClientTokenId", "UnrecognizedClient", "SignatureDoesNotMatch",
         "InvalidAccessKeyId", "locate credentials"),
        "these credentials are wrong or have expired: `aws sts get-caller-identity` shows them",
    ),
    (
        ("ResourceNotFound", "NonExistentQueue", "QueueDoesNotExist", "NoSuchBucket"),
        "no such thing in this account and region: compare COMFYQ_TABLE, COMFYQ_QUEUE_URL, "
        "COMFYQ_BUCKET and AWS_REGION with the stack's outputs",
    ),
    (
        ("does not answer", "Could not connect", "specify a region"),
        "check AWS_REGION, AWS_ENDPOINT_URL and the network: workers need outbound HTTPS",
    ),
)  # fmt: skip
_OTHERWISE = "act on the service's message; `comfyq --debug infra check` shows more"


def remedy_for(message: str) -> str:
    """Return the remedy for a service's error, by the codes and words in its message."""
    for signs, remedy in _REMEDIES:
        if any(sign in message for sign in signs):
            return remedy
    return _OTHERWISE


def is_refusal(message: str) -> bool:
    """Return whether the error says that the credentials lack a right."""
    return any(sign in message for sign in REFUSED)
