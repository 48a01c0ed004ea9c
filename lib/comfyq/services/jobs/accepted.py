"""The answer to a submission."""

from collections.abc import Sequence
from dataclasses import dataclass

from comfyq.domain.files.output import Output
from comfyq.domain.job import Job
from comfyq.domain.submission.spec import Spec
from comfyq.records.jobs import JobRecords


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to a submission; ``replayed`` if it describes an earlier one of the same key."""

    job: Job
    spec: Spec
    outputs: Sequence[Output] = ()  # of an earlier job, if they are reused
    replayed: bool = False


async def stored_answer(records: JobRecords, job: Job, *, replayed: bool = False) -> Accepted:
    """Read the answer to the submission of a job that is stored; raises JobNotFound."""
    outputs = [] if job.reused_from is None else await records.outputs(job.id)
    return Accepted(job, await records.spec(job.id), outputs, replayed)
