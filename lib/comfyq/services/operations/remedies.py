"""Remedies for what AWS's services answer."""

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
        "set this machine's clock right: AWS refuses what is more than five minutes off",
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
        "check AWS_REGION, AWS_ENDPOINT_URL and the way out: workers need outbound HTTPS",
    ),
)  # fmt: skip
_OTHERWISE = "see what it says; `comfyq --debug infra check` shows more"


def remedy_for(told: str) -> str:
    """For an error of a service, by the code or words that stand in it."""
    for signs, remedy in _REMEDIES:
        if any(sign in told for sign in signs):
            return remedy
    return _OTHERWISE


def is_refusal(told: str) -> bool:
    """Return whether rights are what is missing."""
    return any(sign in told for sign in REFUSED)
