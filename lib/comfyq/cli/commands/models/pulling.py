"""``comfyq models pull``: fetch what workflows need."""

import asyncio
from collections.abc import Sequence

import typer

from comfyq.bootstrap.models.services import ModelServices
from comfyq.bootstrap.models.workflow_models import distinct_models
from comfyq.cli.commands.models.listing import tell_unlocked
from comfyq.cli.commands.models.meter import shown_fetches
from comfyq.cli.commands.models.shared import (
    Failures,
    ModelsDir,
    Workflows,
    gigabytes,
    locked_workflows,
    model_settings,
    services_with,
)
from comfyq.cli.errors import ExitCode
from comfyq.cli.options import AsJson
from comfyq.cli.printing import print_json
from comfyq.domain.models.lock import LockedModel
from comfyq.ports.models.store import ModelState
from comfyq.services.models.file_fetch import OnProgress

HERE, LINKED, FETCHED = "here", "linked", "fetched"
WORDS = {ModelState.READY: HERE, ModelState.OTHER: HERE, ModelState.UNLINKED: LINKED}


def pull(
    workflows: Workflows = None, models_dir: ModelsDir = None, as_json: AsJson = False
) -> None:
    """Fetch the locked models that are not here. What was cut off goes on where it was cut.

    A file appears in ComfyUI's folder when its hash is that of the lock, and not before. One that
    is not locked or cannot be had does not keep the others away; exit code 2 then, or 3 if trying
    again may help.
    """
    settings = model_settings(models_dir)
    read, services = locked_workflows(settings, workflows), services_with(settings)
    failures, brought = Failures(), dict[str, str]()
    with failures.told("models.lock"):
        models = distinct_models(read)
        with shown_fetches() as on_progress:
            brought = asyncio.run(_pull_all(services, models, failures, on_progress))
    tell_unlocked(read, failures, ExitCode.WRONG_USAGE)
    if as_json:
        print_json(
            {
                done: [path for path, word in brought.items() if word == done]
                for done in (FETCHED, LINKED)
            }
        )
    failures.end()


async def _pull_all(
    services: ModelServices,
    models: Sequence[LockedModel],
    failures: Failures,
    on_progress: OnProgress,
) -> dict[str, str]:
    """Return what was done with each file, by its path."""
    brought = {}
    for model in models:
        with failures.told(model.path):
            before = await services.fetcher.bring(model, on_progress)
            word = brought[model.path] = WORDS.get(before, FETCHED)
            typer.echo(f"{word:8} {model.path} ({gigabytes(model.size)})", err=True)
    return brought
