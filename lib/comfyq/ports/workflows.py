from collections.abc import Mapping, Sequence
from typing import Protocol

from comfyq.domain.workflow.workflow import Workflow


class Workflows(Protocol):
    def get(self, name: str) -> Workflow:
        """By name, with or without ``.json`` behind it.

        Raises:
            WorkflowNotFound: with the names that exist, or with what is wrong with it.
        """
        ...

    def names(self) -> Sequence[str]:
        """Return the names of those that can be run."""
        ...

    def faults(self) -> Mapping[str, str]:
        """Return what is wrong with each broken one, by name; it is not served."""
        ...
