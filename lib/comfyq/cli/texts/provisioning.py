"""Texts about models on their way to a job's worker."""

from comfyq.client.messages import Json

MEGABYTE = 10**6


def fetched(provisioning: Json) -> str:
    """Say how far a job's models have come to its worker."""
    done, total = (provisioning[each] / MEGABYTE for each in ("bytes", "total"))
    said = f"{done:,.0f} of {total:,.0f} MB of its models"
    left_s = provisioning.get("eta_s")
    return said if left_s is None else f"{said}, {left_s} s left"
