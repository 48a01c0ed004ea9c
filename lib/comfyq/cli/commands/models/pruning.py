"""``comfyq models prune``: delete what no workflow needs."""

from typing import Annotated

import typer

from comfyq.bootstrap.models.services import ModelServices
from comfyq.cli.commands.models.shared import (
    ModelsDir,
    gigabytes,
    model_settings,
    read_workflows,
    services_with,
)
from comfyq.cli.options import AsJson
from comfyq.cli.printing import print_json
from comfyq.config import Settings
from comfyq.services.models.upkeep import Unneeded


def prune(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
    models_dir: ModelsDir = None,
    as_json: AsJson = False,
) -> None:
    """Delete fetched files that no lock of the workflows names, and the links to them.

    Only what comfyq has fetched is deleted, and nothing while a workflow or lock is broken. A file
    that stood in ComfyUI's folder before stays there, and is forgotten.
    """
    settings = model_settings(models_dir)
    services = services_with(settings)
    unneeded = _unneeded(settings, services)
    count = len(unneeded.all)
    if not as_json:
        for each in unneeded.all:
            stays = "  (it stays in ComfyUI's folder, where it was before)"
            is_ours = each.size or each in unneeded.parts
            typer.echo(f"{gigabytes(each.size):>9}  {each.sha256}{'' if is_ours else stays}")
    if count and not yes:
        what = "file" if count == 1 else "files"
        typer.confirm(
            f"delete {count} {what} of {services.root} ({gigabytes(unneeded.size)}) that no "
            f"lock in {settings.workflows_dir} names?",
            abort=True,
            err=True,
        )
        # somebody may have locked and pulled some of it before the answer came
        unneeded = unneeded.only(_unneeded(settings, services).names)
    deleted = services.upkeep.prune(unneeded)
    if left := count - len(deleted.all):
        what = "1 is" if left == 1 else f"{left} are"
        typer.echo(f"{what} left: a lock names it by now, or it is being fetched or used", err=True)
    if as_json:
        print_json({"deleted": [each.sha256 for each in deleted.all], "bytes": deleted.size})
        return
    typer.echo(f"deleted: {len(deleted.all)}, {gigabytes(deleted.size)}")


def _unneeded(settings: Settings, services: ModelServices) -> Unneeded:
    """Return what no lock names now."""
    read = read_workflows(settings, None)
    return services.upkeep.unneeded([model for each in read for model in each.locked])
