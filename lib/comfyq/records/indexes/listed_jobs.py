"""Jobs as indexes list them, which lag behind the jobs themselves."""

from collections.abc import Sequence
from dataclasses import dataclass

from comfyq.domain.job import JobId
from comfyq.ports.table import Cursor


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of job ids; ``cursor`` is where the next begins."""

    ids: Sequence[JobId]
    cursor: Cursor | None
