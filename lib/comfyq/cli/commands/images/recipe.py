"""``comfyq images dockerfile``: the recipe of a worker's image."""

import re
from collections.abc import Sequence
from typing import Annotated

import typer

from comfyq.bootstrap.environments.workflow_nodes import WorkflowNodes
from comfyq.cli.commands.images.shared import Workflows, workflows_with_nodes
from comfyq.cli.errors import CannotStart
from comfyq.cli.options import AsJson
from comfyq.cli.printing import print_json
from comfyq.cli.starting import settings_with
from comfyq.domain.environment import recipe
from comfyq.domain.environment.custom_nodes import check_together
from comfyq.domain.environment.errors import NodesRefused
from comfyq.domain.environment.lock import LockedNodes

IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,299}")


def dockerfile(
    workflows: Workflows = None,
    base: Annotated[
        str,
        typer.Option(metavar="IMAGE", help="The image of infra/gpu/Dockerfile, as you called it."),
    ] = recipe.BASE,
    as_json: AsJson = False,
) -> None:
    """Print the Dockerfile of a worker's image that has the custom nodes of workflows.

    It is made of the locks alone, so it is the same wherever it is printed. Each repository is
    fetched at its commit, and the build ends if its files have another hash than the lock says.
    """
    if not IMAGE.fullmatch(base):
        raise CannotStart(f"--base: {base!r} is no name of an image, such as {recipe.BASE}:1")
    read = workflows_with_nodes(settings_with(), workflows)
    needed = [each for each in read if each.nodes]
    text = recipe.dockerfile([each.name for each in needed], locked_nodes(needed), base=base)
    if as_json:
        print_json({"dockerfile": text})
    else:
        typer.echo(text, nl=False)


def locked_nodes(workflows: Sequence[WorkflowNodes]) -> list[LockedNodes]:
    """Return the locks of all nodes; raises CannotStart where one is missing, or two do not go
    together."""
    try:
        check_together((each.name, nodes) for each in workflows for nodes in each.nodes)
    except NodesRefused as wrong:
        raise CannotStart(str(wrong)) from None
    locked, missing = [], {}
    for workflow in workflows:
        for nodes in workflow.nodes:
            lock = workflow.lock_of(nodes)
            if lock is None:
                missing[workflow.name] = nodes
            else:
                locked.append(lock)
    if missing:
        names = " ".join(missing)
        raise CannotStart(
            f"not locked: {', '.join(map(str, missing.values()))}; `comfyq images lock {names}` "
            "does it"
        )
    return locked
