from collections.abc import Sequence
from typing import Protocol

from comfyq.domain.workflow.workflow import Workflow


class Workflows(Protocol):
    def get(self, name: str) -> Workflow:
        """By name, with or without ``.json`` behind it.

        Raises:
            WorkflowNotFound: with the names that exist.
        """
        ...

    def names(self) -> Sequence[str]: ...
