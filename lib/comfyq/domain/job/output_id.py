"""Ids of outputs as files of their own: an output is known by its job and its place there.

New jobs have ids whose last 16 bits are zero; in an output's id they are its place, from 1 on. So
an id of 128 bits leads to the output without a record of its own. To the id of a job that was made
otherwise (of a batch, from a queue, by an older version) the place is appended.
"""

import re

from comfyq.domain.files.asset import AssetId
from comfyq.domain.job.model import JobId

PLACE_DIGITS = 4  # of the UUID, in hex
NO_PLACE = "0" * PLACE_DIGITS
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
APPENDED = re.compile(rf"({UUID})\.([0-9]{{1,5}})")
WHOLE = re.compile(UUID)


def job_id_of(drawn: str) -> JobId:
    """Return a drawn UUID as the id of a new job, with room for the places of its outputs."""
    return JobId(drawn[:-PLACE_DIGITS] + NO_PLACE)


def output_id(job_id: JobId, index: int) -> AssetId:
    """Return the id of a job's ``index``-th output."""
    if job_id.endswith(NO_PLACE):
        return AssetId(f"{job_id[:-PLACE_DIGITS]}{index + 1:0{PLACE_DIGITS}x}")
    return AssetId(f"{job_id}.{index}")


def output_place(asset_id: str) -> tuple[JobId, int] | None:
    """Return the job and the place that an id leads to, if it is an output's; None: it is none."""
    if appended := APPENDED.fullmatch(asset_id):
        return JobId(appended[1]), int(appended[2])
    if not WHOLE.fullmatch(asset_id) or asset_id.endswith(NO_PLACE):
        return None
    place = int(asset_id[-PLACE_DIGITS:], 16)
    return job_id_of(asset_id), place - 1
