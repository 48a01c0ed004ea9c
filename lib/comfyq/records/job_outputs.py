"""The outputs of jobs, in as many items as they need.

The head, ``OUT``, is written with the job's end and holds all outputs if they fit. Otherwise they
are in parts that the attempt wrote before, under keys of its own, and the head names that attempt:
what a losing attempt has written is never read, and goes when the job does. A job that reuses the
results of another one has a head that names it.
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from comfyq.domain.files.output import Output, OutputKind, OutputPage
from comfyq.domain.job import Job, JobId
from comfyq.ports.table import MAX_ITEM_BYTES, Delete, Item, Put, Table
from comfyq.records.job_parts import ENCODER

PART_BYTES = MAX_ITEM_BYTES - 10_000  # of the JSON in one item
DELETED_AT_ONCE = 20


class JobOutputs:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def stage(self, job_id: JobId, attempt: int, outputs: Sequence[Output]) -> Item:
        """Write the parts if one item is too small; return the head, for the caller to write.

        Raises:
            TooLarge: one output is larger than an item.
        """
        parts = list(_parts(outputs))
        if len(parts) == 1:
            return _head(job_id, {"body": _body(parts[0])})
        for number, part in enumerate(parts):
            key = {"pk": f"JOB#{job_id}", "sk": f"{_prefix(attempt)}{number:05d}"}
            await self._table.write(Put({**key, "body": _body(part)}))
        starts = [0]
        for part in parts:
            starts.append(starts[-1] + len(part))
        return _head(job_id, {"attempt": attempt, "starts": starts})

    async def page(self, job_id: JobId, *, start: int = 0, end: int | None = None) -> OutputPage:
        """Read the outputs from ``start`` up to ``end`` (exclusive; None: all that follow)."""
        head = await self._table.get((f"JOB#{job_id}", "OUT"))
        if head is None:
            return OutputPage([], start, 0)
        if "owner" in head:
            return await self.page(JobId(head["owner"]), start=start, end=end)
        if "body" in head:
            outputs = _outputs_of(head)
            return OutputPage(outputs[start:end], start, len(outputs))
        total = head["starts"][-1]
        upto = total if end is None else min(end, total)
        collected: list[Output] = []
        for number, (first, after) in enumerate(pairwise(head["starts"])):
            if first < upto and start < after:
                sk = f"{_prefix(head['attempt'])}{number:05d}"
                part = await self._table.get((f"JOB#{job_id}", sk))
                if part is None:
                    return OutputPage([], start, 0)  # the job is being deleted
                await asyncio.sleep(0)  # parsing many parts at once would block the event loop
                collected += _outputs_of(part)[max(start - first, 0) : upto - first]
        return OutputPage(collected, start, total)

    async def discard(self, job_id: JobId, attempt: int) -> None:
        """Delete the parts of an attempt that did not win."""
        while True:
            page = await self._table.query(
                "main", f"JOB#{job_id}", prefix=_prefix(attempt), limit=DELETED_AT_ONCE
            )
            if not page.items:
                return
            await self._table.write(*(Delete((part["pk"], part["sk"])) for part in page.items))


def reused_outputs(job: Job) -> Item:
    """The head of a job that has the outputs of an earlier one, which outlives it."""
    return _head(job.id, {"owner": job.reused_from})


def _head(job_id: JobId, content: dict[str, Any]) -> Item:
    return content | {"pk": f"JOB#{job_id}", "sk": "OUT"}


def _prefix(attempt: int) -> str:
    return f"OUT#{attempt:04d}#"


def _parts(outputs: Sequence[Output]) -> Iterator[list[str]]:
    """The outputs as JSON, a list for each item; one list where there are none."""
    part: list[str] = []
    size = 0
    for output in outputs:
        encoded = ENCODER.encode(_fields(output))
        added = len(encoded.encode()) + 1
        if part and size + added > PART_BYTES:
            yield part
            part, size = [], 0
        part.append(encoded)
        size += added
    yield part


def _fields(output: Output) -> dict[str, Any]:
    """Return the fields by name; ``asdict`` would copy each one deeply."""
    fields: dict[str, Any] = {
        "node": output.node,
        "filename": output.filename,
        "kind": output.kind,
        "content_type": output.content_type,
        "size": output.size,
        "blake3": output.blake3,
        "key": output.key,
    }
    return fields if output.text is None else fields | {"text": output.text}


def _body(part: Sequence[str]) -> str:
    return f"[{','.join(part)}]"


def _outputs_of(item: Item) -> list[Output]:
    return [Output(**o | {"kind": OutputKind(o["kind"])}) for o in json.loads(item["body"])]
