"""``comfyq images export|import``: comfy-cli's comfy-lock.yaml."""

from pathlib import Path
from typing import Annotated

import typer
import yaml

from comfyq.bootstrap.models.workflow_models import distinct_models
from comfyq.cli.commands.images.recipe import locked_nodes
from comfyq.cli.commands.images.shared import Workflows, workflows_with_nodes
from comfyq.cli.commands.models.shared import read_workflows
from comfyq.cli.errors import CannotStart
from comfyq.cli.options import AsJson
from comfyq.cli.printing import print_json
from comfyq.cli.starting import settings_with
from comfyq.cli.texts.controls import visible
from comfyq.domain.environment.comfy_lock import comfy_lock, manifest_tables, read_comfy_lock
from comfyq.domain.models.errors import ModelError


def export(workflows: Workflows = None, as_json: AsJson = False) -> None:
    """Print locked models and custom nodes of workflows as comfy-cli's comfy-lock.yaml."""
    settings = settings_with()
    read = read_workflows(settings, workflows)
    try:
        models = distinct_models(read)
    except ModelError as wrong:
        raise CannotStart(str(wrong)) from None
    unlocked = [f"{each.name}: {model.file}" for each in read for model in each.unlocked]
    for each in unlocked:
        typer.echo(f"{each} is not locked, and left out; `comfyq models lock` does it", err=True)
    document = comfy_lock(models, locked_nodes(workflows_with_nodes(settings, workflows)))
    if as_json:
        print_json(dict(document))
    else:
        typer.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A comfy-lock.yaml.")],
    as_json: AsJson = False,
) -> None:
    """Print the models and custom nodes of a comfy-lock.yaml as tables for a manifest.

    Exit code 2 if something of it cannot be said in a manifest, which is told.
    """
    try:
        lock = read_comfy_lock(yaml.safe_load(file.read_text(encoding="utf-8")))
    except OSError as wrong:
        raise CannotStart(f"{file} cannot be read: {wrong.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as wrong:
        raise CannotStart(f"{file}: {wrong}") from None
    tables = manifest_tables(lock)
    if as_json:
        print_json({"manifest": tables, "left_out": list(lock.left)})
    else:
        typer.echo(tables, nl=False)
    for each in lock.left:
        typer.echo(f"left out: {visible(each)}", err=True)
    if lock.left:
        raise typer.Exit(2)
