"""The order in which a tenant's waiting jobs are claimed: by age, which a priority moves."""

from datetime import datetime, timedelta

from comfyq.domain.job.model import NORMAL_PRIORITY, Job

AGEING = timedelta(minutes=30)
"""A job goes before those of its tenant that are one priority lower, unless they have waited for
that much longer: so none waits for ever."""


def waits_since(job: Job) -> datetime:
    return job.not_before or job.created_at


def rank(job: Job) -> datetime:
    """Return a waiting job's place among its tenant's: the earliest is claimed first."""
    return waits_since(job) - (job.priority - NORMAL_PRIORITY) * AGEING
