"""Custom nodes of workflows: what manifests name, and what locks beside them say."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from comfyq.adapters.filesystem.node_locks import locked_nodes, write_lock
from comfyq.adapters.filesystem.workflows import load_workflow
from comfyq.adapters.git.repositories import GitRepositories
from comfyq.bootstrap.models.workflow_models import workflow_folders
from comfyq.domain.environment.custom_nodes import CustomNodes
from comfyq.domain.environment.lock import LockedNodes
from comfyq.ports.environment.repositories import Repositories


@dataclass(frozen=True, slots=True)
class WorkflowNodes:
    """The custom nodes of a workflow, and its lock."""

    name: str
    folder: Path
    nodes: Sequence[CustomNodes]
    locked: Sequence[LockedNodes]

    def lock_of(self, nodes: CustomNodes) -> LockedNodes | None:
        """Return the lock of what the manifest names now; None: it has none."""
        wanted = (nodes.repository, nodes.commit)
        return next((e for e in self.locked if (e.repository, e.commit) == wanted), None)

    def write(self, locked: Iterable[LockedNodes]) -> bool:
        """Write the lock, unless it is the same already; return whether it changed."""
        return write_lock(self.folder, locked)


def nodes_of(workflows: Path, names: Sequence[str]) -> Sequence[WorkflowNodes]:
    """Read workflows, by their names or folders; without names, all of the folder.

    Raises:
        InvalidWorkflow: one of them does not exist or is broken.
        BadNodesLock: a lock cannot be used.
    """
    read = [(folder, load_workflow(folder)) for folder in workflow_folders(workflows, names)]
    return [
        WorkflowNodes(workflow.name, folder, workflow.nodes, locked_nodes(folder))
        for folder, workflow in read
    ]


def repositories() -> Repositories:
    return GitRepositories()
