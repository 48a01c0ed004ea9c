"""Names of outputs, unique among all jobs: ComfyUI counts the files of its one folder, and programs
that keep pictures under these names would else write one over another."""

import re

from comfyq.domain.files.output import MAX_OUTPUTS, Output
from comfyq.domain.job import JobId
from comfyq.domain.job.output_id import UUID, output_id, output_place

NAMED = re.compile(rf".*?({UUID}(?:\.[0-9]{{1,5}})?)(?:\.[^.]*)?", re.DOTALL)
TYPE = "output"


def output_name(job_id: JobId, index: int, output: Output) -> str:
    """Return the name of a job's ``index``-th output: ComfyUI's own with its id in it."""
    stem, dot, suffix = output.filename.rpartition(".")
    if not stem:
        stem, dot, suffix = output.filename, "", ""
    return f"{stem}{output_id(job_id, index)}{dot}{suffix}"


def named_output(name: str) -> tuple[JobId, int] | None:
    """Return the job and place of the output that may have a name; None: no output has."""
    named = NAMED.fullmatch(name)
    place = None if named is None else output_place(named[1])
    return place if place is not None and 0 <= place[1] < MAX_OUTPUTS else None
