"""The stage of a job in which its worker fetches models."""

from pydantic import BaseModel, Field

from comfyq.domain.job import Job


class ProvisioningView(BaseModel):
    """How far the models that a job needs have come to its worker."""

    bytes: int = Field(description="That are there.")
    total: int = Field(description="Bytes of the models that its worker lacked.")
    eta_s: int | None = Field(
        None, description="Seconds until all are there; null while too little is known."
    )


def provisioning_of(job: Job) -> ProvisioningView | None:
    """Return the stage of a job that is in it."""
    at = job.progress.provisioning
    if at is None:
        return None
    return ProvisioningView(bytes=at.done, total=at.total, eta_s=at.eta_s)
