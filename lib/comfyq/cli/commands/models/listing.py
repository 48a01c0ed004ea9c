"""``comfyq models list`` and ``verify``: how it is with the files of this machine."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from comfyq.bootstrap.models.services import ModelServices
from comfyq.bootstrap.models.workflow_models import WorkflowModels, distinct_models
from comfyq.cli.commands.models.shared import (
    Failures,
    ModelsDir,
    Workflows,
    gigabytes,
    locked_workflows,
    model_settings,
    read_workflows,
    services_with,
)
from comfyq.cli.errors import ExitCode
from comfyq.cli.options import AsJson
from comfyq.cli.printing import print_json
from comfyq.domain.models.lock import LockedModel
from comfyq.domain.models.source import shown
from comfyq.domain.workflow.workflow import Model
from comfyq.ports.models.store import ModelState
from comfyq.services.models.upkeep import Soundness

WIDTH = 11


def listing(
    workflows: Workflows = None, models_dir: ModelsDir = None, as_json: AsJson = False
) -> None:
    """List the models of workflows, and whether ComfyUI finds them here. Nothing is read whole."""
    settings = model_settings(models_dir)
    read, services = read_workflows(settings, workflows), services_with(settings)
    rows: dict[tuple[str, str | None], dict[str, Any]] = {}
    for workflow in read:
        for model in workflow.models:
            row = _row(services, model, workflow.lock_of(model))
            rows.setdefault((row["path"], row["sha256"]), row)["workflows"].append(workflow.name)
    if as_json:
        print_json({"models": list(rows.values())})
        return
    for row in rows.values():
        size = "" if row["size"] is None else gigabytes(row["size"])
        begun = f" ({gigabytes(row['bytes'])} here)" if row["state"] == ModelState.PARTIAL else ""
        typer.echo(f"{row['state']:{WIDTH}} {size:>9}  {row['path']}{begun}")


def verify(
    workflows: Workflows = None,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete damaged files, so that `pull` fetches them.")
    ] = False,
    models_dir: ModelsDir = None,
    as_json: AsJson = False,
) -> None:
    """Read locked models whole, and compare their hashes. Exit code 1 if one is not as locked."""
    settings = model_settings(models_dir)
    read, services = locked_workflows(settings, workflows), services_with(settings)
    failures, verdicts = Failures(), []
    with failures.told("models.lock"):
        for model in distinct_models(read):
            soundness = services.upkeep.soundness(model)
            state, _ = services.store.state(model)
            is_right = soundness is Soundness.SOUND and state is ModelState.READY
            verdict = state.value if soundness is Soundness.SOUND else soundness.value
            verdicts.append({"path": model.path, "state": "ok" if is_right else verdict})
            if not as_json:
                typer.echo(f"{verdicts[-1]['state']:{WIDTH}} {model.path}")
            if not is_right:
                failures.fail(ExitCode.JOB_FAILED)
            if soundness is Soundness.DAMAGED and delete:
                services.upkeep.discard(model)
    tell_unlocked(read, failures, ExitCode.JOB_FAILED)
    if as_json:
        print_json({"models": verdicts})
    failures.end()


def tell_unlocked(workflows: Sequence[WorkflowModels], failures: Failures, code: ExitCode) -> None:
    """Tell which models have a source and no lock, which is a failure of that code."""
    for workflow in workflows:
        for model in workflow.unlocked:
            failures.fail(code)
            typer.echo(
                f"comfyq: {workflow.name}: {model.folder}/{model.file} is not locked; "
                f"`comfyq models lock {workflow.name}`",
                err=True,
            )


def _row(services: ModelServices, model: Model, lock: LockedModel | None) -> dict[str, Any]:
    state, begun = ("not locked" if model.source else "no source"), 0
    if lock is not None:
        state, begun = services.store.state(lock)
    return {
        "path": f"{model.folder}/{model.file}",
        "state": str(state),
        "source": None if model.source is None else shown(model.source),
        "commit": None if lock is None else lock.commit,
        "sha256": None if lock is None else lock.sha256,
        "size": None if lock is None else lock.size,
        "bytes": begun,
        "workflows": [],
    }
