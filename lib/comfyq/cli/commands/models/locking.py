"""``comfyq models lock``: write down which bytes a workflow's models are."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

from comfyq.bootstrap.models.services import ModelServices, models_root
from comfyq.bootstrap.models.workflow_models import WorkflowModels
from comfyq.cli.commands.models.meter import shown_fetches
from comfyq.cli.commands.models.shared import (
    NAME_ONE,
    Failures,
    ModelsDir,
    Workflows,
    gigabytes,
    model_settings,
    read_workflows,
    services_with,
)
from comfyq.cli.errors import CannotStart
from comfyq.cli.options import AsJson
from comfyq.cli.printing import print_json
from comfyq.config import PACKAGE
from comfyq.domain.models.lock import LockedModel
from comfyq.services.models.file_fetch import OnProgress


def lock(
    workflows: Workflows = None,
    update: Annotated[
        bool, typer.Option("--update", help="Ask anew for those that are locked already.")
    ] = False,
    models_dir: ModelsDir = None,
    as_json: AsJson = False,
) -> None:
    """Ask where a workflow's models come from, and write commit, hash and size to its models.lock.

    What is locked already stays as it is, unless its source in the manifest has changed. A file
    of which nobody tells a hash is fetched for it, and kept if a folder of model files is named.
    """
    settings = model_settings(models_dir)
    read = read_workflows(settings, workflows)
    if not workflows:
        read = [each for each in read if any(model.source for model in each.models)]
    for each in read:
        _check_own(each)
    services = services_with(settings, otherwise=settings.data_dir / "models-to-hash")
    failures, is_done = Failures(), False
    try:
        with shown_fetches() as on_progress:
            changed = asyncio.run(_lock_all(services, read, failures, on_progress, update=update))
        is_done = not failures.code
    finally:
        if models_root(settings) is None:
            _drop_files(services, with_parts=is_done)
    if as_json:
        print_json({"changed": changed})
    failures.end()


def _check_own(workflow: WorkflowModels) -> None:
    if workflow.folder.resolve().is_relative_to(PACKAGE):
        raise CannotStart(
            f"{workflow.folder} belongs to the installed package, and what is written there is "
            "lost with its next update: copy it to a folder of yours, and set COMFYQ_WORKFLOWS_DIR"
        )


def _drop_files(services: ModelServices, *, with_parts: bool) -> None:
    """Delete the files that were fetched for their hash alone, and tell so."""
    count = services.upkeep.clear(with_parts=with_parts)  # parts are for the next time
    if count:
        what = "1 file was" if count == 1 else f"{count} files were"
        typer.echo(
            f"{what} fetched for the hash and not kept, as no folder of model files is named: for "
            f"`pull` not to fetch again, {NAME_ONE}",
            err=True,
        )


async def _lock_all(
    services: ModelServices,
    workflows: Sequence[WorkflowModels],
    failures: Failures,
    on_progress: OnProgress,
    *,
    update: bool,
) -> list[str]:
    """Return the names of the workflows whose locks changed."""
    changed = []
    for workflow in workflows:
        locked = await _locked(services, workflow, failures, on_progress, update=update)
        is_changed = workflow.write(locked) if locked or workflow.locked else False
        if is_changed:
            changed.append(workflow.name)
        typer.echo(
            f"{workflow.name}: {len(locked)} locked, {'written' if is_changed else 'unchanged'}",
            err=True,
        )
    return changed


async def _locked(
    services: ModelServices,
    workflow: WorkflowModels,
    failures: Failures,
    on_progress: OnProgress,
    *,
    update: bool,
) -> list[LockedModel]:
    """Lock each model that has a source; of one that fails, the lock stays that it has."""
    locked = []
    for model in workflow.models:
        before, path = workflow.lock_of(model), f"{model.folder}/{model.file}"
        if model.source is None:
            typer.echo(f"{workflow.name}: {path} has no source, and is not locked", err=True)
            continue
        made = before
        if before is None or update:
            with failures.told(path):
                made = await services.locking.lock(
                    model.source, folder=model.folder, file=model.file, on_progress=on_progress
                )
        if made is not None:
            locked.append(made)
        if made is not None and made != before:
            typer.echo(f"{path}: {made.sha256} ({gigabytes(made.size)})", err=True)
    return locked
