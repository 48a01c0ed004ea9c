"""Options and errors that the commands of images share."""

from collections.abc import Sequence
from typing import Annotated

import typer

from comfyq.bootstrap.environments.workflow_nodes import WorkflowNodes, nodes_of
from comfyq.cli.errors import CannotStart
from comfyq.config import Settings
from comfyq.domain.environment.errors import NodesError
from comfyq.domain.errors import InvalidWorkflow

Workflows = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[WORKFLOW]...",
        help="Names or folders of workflows.  [default: all that need custom nodes]",
    ),
]


def workflows_with_nodes(
    settings: Settings, names: Sequence[str] | None
) -> Sequence[WorkflowNodes]:
    """Read workflows and their locks, and leave out those that need no custom nodes and have no
    lock of any; raises CannotStart."""
    try:
        read = nodes_of(settings.workflows_dir, names or ())
    except (InvalidWorkflow, NodesError) as wrong:
        raise CannotStart(str(wrong)) from None
    return [each for each in read if each.nodes or each.locked]
