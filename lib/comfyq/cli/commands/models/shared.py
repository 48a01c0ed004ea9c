"""What the commands of models have in common."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from comfyq.bootstrap.models.services import ModelServices, model_services, models_root
from comfyq.bootstrap.models.workflow_models import WorkflowModels, models_of
from comfyq.cli.errors import CannotStart, ExitCode
from comfyq.cli.starting import settings_with
from comfyq.cli.texts.controls import visible
from comfyq.config import Settings
from comfyq.domain.errors import InvalidWorkflow
from comfyq.domain.models.errors import ModelError, ModelUnavailable

Workflows = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[WORKFLOW]...",
        help="Names or folders of workflows.  [default: all, or all with a lock]",
    ),
]
ModelsDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="The folder of model files.  \\[env: COMFYQ_MODELS_DIR; default: `models` in "
        "COMFYUI_DIR]",
    ),
]
NAME_ONE = "use --models-dir DIR, COMFYQ_MODELS_DIR, or COMFYUI_DIR, ComfyUI's own directory"


def model_settings(models_dir: Path | None) -> Settings:
    return settings_with(COMFYQ_MODELS_DIR=models_dir)


def services_with(settings: Settings, *, otherwise: Path | None = None) -> ModelServices:
    """Return the services of models, ``otherwise`` in that folder; raises CannotStart if nothing
    says where the files are."""
    root = models_root(settings) or otherwise
    if root is None:
        raise CannotStart(f"no folder of model files is named: {NAME_ONE}")
    return model_services(settings, root)


def read_workflows(settings: Settings, names: Sequence[str] | None) -> Sequence[WorkflowModels]:
    """Read workflows and their locks; raises CannotStart."""
    try:
        return models_of(settings.workflows_dir, names or ())
    except (InvalidWorkflow, ModelError) as wrong:
        raise CannotStart(str(wrong)) from None


def locked_workflows(settings: Settings, names: Sequence[str] | None) -> Sequence[WorkflowModels]:
    """Read those workflows that are named or, without names, those that have a lock; raises
    CannotStart."""
    read = read_workflows(settings, names)
    locked = read if names else [each for each in read if each.locked]
    if not locked:
        raise CannotStart(
            f"no workflow of {settings.workflows_dir} has a models.lock yet: `comfyq models lock "
            "WORKFLOW` makes it"
        )
    return locked


def gigabytes(size: int) -> str:
    """Return a size as people read it."""
    for unit, bytes_of in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= bytes_of:
            return f"{size / bytes_of:.1f} {unit}"
    return f"{size} B"


@dataclass
class Failures:
    """What went wrong, so that the others are done nevertheless."""

    code: ExitCode = ExitCode.DONE

    @contextmanager
    def told(self, path: str) -> Iterator[None]:
        """Tell what the body fails with, and go on after it."""
        try:
            yield
        except ModelError as fault:
            away = isinstance(fault, ModelUnavailable)
            self.fail(ExitCode.NOT_REACHED if away else ExitCode.WRONG_USAGE)
            typer.echo(f"comfyq: {path}: {visible(str(fault))}", err=True)

    def fail(self, code: ExitCode) -> None:
        """Remember the first failure's code: it is the command's."""
        self.code = self.code or code

    def end(self) -> None:
        """End the command with the first failure's code."""
        if self.code:
            raise typer.Exit(self.code)
