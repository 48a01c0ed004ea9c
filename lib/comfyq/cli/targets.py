"""Ids that stand for a job or for a batch."""

from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

from comfyq.cli.client import ApiClient
from comfyq.cli.completion import job_or_batch_ids
from comfyq.cli.errors import CannotStart, Refused

JobOrBatchId = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="The id of a job or of a batch.", autocompletion=job_or_batch_ids
    ),
]

NO_IDS = ("", ".", "..")  # as parts of a path they lead elsewhere

FoundT = TypeVar("FoundT")


def check_id(text: str, *, listed: str) -> None:
    """Raise CannotStart for what is no id, as of a variable of the shell that is not set."""
    if text in NO_IDS:
        raise CannotStart(f"{text!r} is no id; `{listed}` shows them")


def job_or_batch(
    target_id: str, of_job: Callable[[str], FoundT], of_batch: Callable[[str], FoundT]
) -> tuple[FoundT, bool]:
    """Call the first with the id or, if no job has it, the second; the flag tells a batch.

    Raises:
        CannotStart: it is none.
        Refused: neither has this id.
    """
    check_id(target_id, listed="comfyq list")
    try:
        return of_job(target_id), False
    except Refused as refused:
        if refused.problem.get("code") != "job-not-found":
            raise
        no_job = refused
    try:
        return of_batch(target_id), True
    except Refused as refused:
        raise no_job if refused.problem.get("code") == "batch-not-found" else refused from None


def only_job(
    client: ApiClient, target_id: str, of_job: Callable[[str], FoundT], *, instead: str
) -> FoundT:
    """Call a function that takes jobs alone; of a batch's id, say so and what to use ``instead``.

    Raises:
        CannotStart: the id is a batch's.
        Refused: no job has this id.
    """

    def refuse(batch_id: str) -> FoundT:
        client.batch(batch_id)
        raise CannotStart(f"{batch_id} is the id of a batch, not of a job: {instead}")

    return job_or_batch(target_id, of_job, refuse)[0]
