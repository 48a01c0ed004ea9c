"""``comfyq models prune``: delete what no workflow needs."""

from typing import Annotated

import typer

from comfyq.cli.commands.models.shared import (
    ModelsDir,
    gigabytes,
    model_settings,
    read_workflows,
    services_with,
)
from comfyq.cli.options import AsJson
from comfyq.cli.printing import print_json


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
    read, services = read_workflows(settings, None), services_with(settings)
    unneeded = services.care.unneeded([model for each in read for model in each.locked])
    files = [each.sha256 for each in (*unneeded.files, *unneeded.parts)]
    if not as_json:
        for each in (*unneeded.files, *unneeded.parts):
            stays = "" if each.size else "  (it stays in ComfyUI's folder, where it was before)"
            typer.echo(f"{gigabytes(each.size):>9}  {each.sha256}{stays}")
    if files and not yes:
        what = "file" if len(files) == 1 else "files"
        typer.confirm(
            f"delete {len(files)} {what} of {services.root} ({gigabytes(unneeded.size)}) that no "
            f"lock in {settings.workflows_dir} names?",
            abort=True,
            err=True,
        )
    services.care.prune(unneeded)
    if as_json:
        print_json({"deleted": files, "bytes": unneeded.size})
        return
    typer.echo(f"deleted: {len(files)}, {gigabytes(unneeded.size)}")
