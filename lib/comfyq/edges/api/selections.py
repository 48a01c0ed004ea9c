"""The query of a list of jobs: what the jobs in it have in common."""

import re
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Query
from pydantic import AwareDatetime, BeforeValidator

from comfyq.domain.errors import FieldError, InvalidRequest
from comfyq.domain.job import JobStatus
from comfyq.domain.job.shown_status import STATUSES, ShownStatus
from comfyq.domain.submission.labels import MAX_LABELS, label_of
from comfyq.domain.submission.selection import Selection
from comfyq.edges.api.ids import BatchIdInQuery

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def _written_out(text: object) -> object:
    """Refuse what pydantic would take for seconds since 1970."""
    if isinstance(text, str) and RFC_3339.fullmatch(text) is None:
        raise ValueError("must be a time with its zone, as 2026-11-27T10:00:00Z")
    return text


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]


async def selection_of(
    status: ShownStatus | None = None,
    workflow: Annotated[
        str | None, Query(description="`graph` is a graph of the client's own.", max_length=200)
    ] = None,
    batch: BatchIdInQuery = None,
    label: Annotated[
        list[str] | None,
        Query(description="`name=value`; of several, a job has each.", max_length=MAX_LABELS),
    ] = None,
    created_after: Annotated[
        Moment | None, Query(description="Submitted then or later: `2026-11-27T10:00:00Z`.")
    ] = None,
    created_before: Annotated[Moment | None, Query(description="Submitted earlier.")] = None,
) -> Selection:
    """Return what the query of a list asks for."""
    return Selection(
        statuses=None if status is None else _statuses(status),
        workflow=None if workflow is None else workflow.removesuffix(".json"),
        batch=batch,
        labels=_labels(label or ()),
        since=created_after,
        before=created_before,
    )


SelectionInQuery = Annotated[Selection, Depends(selection_of)]


def _statuses(shown: ShownStatus) -> frozenset[JobStatus]:
    """Return every status that is shown as ``shown``."""
    return frozenset(status for status, name in STATUSES.items() if name == shown)


def _labels(texts: Sequence[str]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for text in texts:
        try:
            name, value = label_of(text)
            if labels.setdefault(name, value) != value:
                raise ValueError(f"{name!r} is named with two values; no job has both")
        except ValueError as wrong:
            raise InvalidRequest(f"label: {wrong}", [FieldError("label", str(wrong))]) from wrong
    return labels
