"""``comfyq images lock``: write down which files a workflow's custom nodes are."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

from comfyq.bootstrap.environments.workflow_nodes import WorkflowNodes, repositories
from comfyq.cli.commands.images.shared import Workflows, workflows_with_nodes
from comfyq.cli.errors import CannotStart, ExitCode
from comfyq.cli.options import AsJson
from comfyq.cli.printing import print_json
from comfyq.cli.starting import settings_with
from comfyq.cli.texts.controls import visible
from comfyq.config import PACKAGE
from comfyq.domain.environment.errors import NodesError, NodesUnavailable
from comfyq.domain.environment.lock import LockedNodes
from comfyq.ports.environment.repositories import Repositories


def lock(
    workflows: Workflows = None,
    update: Annotated[
        bool, typer.Option("--update", help="Ask anew for those that are locked already.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look whether the commits of workflows' custom nodes exist, and write their hashes to a lock.

    Each commit is fetched by `git`, with the credentials that it has on this machine, and thrown
    away. If one of several cannot be locked, the others are; exit code 2 then, or 3 if trying
    again may help.
    """
    read = workflows_with_nodes(settings_with(), workflows)
    for each in read:
        if each.folder.resolve().is_relative_to(PACKAGE):
            raise CannotStart(
                f"{each.folder} belongs to the installed package, and what is written there is "
                "lost with its next update: copy it to a folder of yours, and set "
                "COMFYQ_WORKFLOWS_DIR"
            )
    if not read:
        typer.echo("no workflow names custom nodes", err=True)
    changed, code = asyncio.run(_lock_all(repositories(), read, update=update))
    if as_json:
        print_json({"changed": changed})
    if code:
        raise typer.Exit(code)


async def _lock_all(
    asked: Repositories, workflows: Sequence[WorkflowNodes], *, update: bool
) -> tuple[list[str], ExitCode]:
    """Return the names of the workflows whose locks changed, and the first failure's code."""
    changed, code = [], ExitCode.DONE
    for workflow in workflows:
        locked: list[LockedNodes] = []
        for nodes in workflow.nodes:
            made = workflow.lock_of(nodes)
            if made is None or update:
                try:
                    sha256 = await asked.sha256_of(nodes.repository, nodes.commit)
                    made = LockedNodes(
                        repository=nodes.repository, commit=nodes.commit, sha256=sha256
                    )
                except NodesError as fault:
                    away = isinstance(fault, NodesUnavailable)
                    code = code or (ExitCode.NOT_REACHED if away else ExitCode.WRONG_USAGE)
                    typer.echo(f"comfyq: {workflow.name}: {visible(str(fault))}", err=True)
            locked += [made] if made else []
        is_changed = workflow.write(locked) if locked or workflow.locked else False
        changed += [workflow.name] if is_changed else []
        done = "written" if is_changed else "unchanged"
        typer.echo(f"{workflow.name}: {len(locked)} locked, {done}", err=True)
    return changed, code
