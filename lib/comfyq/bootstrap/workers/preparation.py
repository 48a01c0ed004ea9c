"""Wiring of the services that bring a job's models and files to a worker's ComfyUI."""

from pathlib import Path

from comfyq.bootstrap.models.services import ModelServices, model_services
from comfyq.bootstrap.ports import MissingSetting
from comfyq.bootstrap.services import Services
from comfyq.config import Settings
from comfyq.domain.job import WorkerId
from comfyq.services.models.fetch_policy import FetchPolicy
from comfyq.services.models.held_models import HeldModels
from comfyq.services.models.holders import ModelHolders
from comfyq.services.worker.capabilities import Capabilities
from comfyq.services.worker.provisioning.provisioner import Provisioner
from comfyq.services.worker.reporting.reporter import Reporting


def worker_models(settings: Settings, comfyui_dir: Path | None) -> ModelServices | None:
    """Return the services of a worker that fetches models; None: it fetches none.

    Raises:
        MissingSetting: no folder of models is named.
    """
    given = settings.models
    if not given.model_fetch:
        return None
    root = _root(settings, comfyui_dir)
    if root is None:
        raise MissingSetting(
            "COMFYQ_MODEL_FETCH needs the folder of models that ComfyUI reads: name it by "
            "COMFYQ_MODELS_DIR, or ComfyUI's directory by --comfyui-dir"
        )
    return model_services(settings, root, evicts=True)


def held_models_of(
    settings: Settings, comfyui_dir: Path | None, models: ModelServices | None
) -> HeldModels | None:
    """Return what tells the models of this machine, also of a worker that fetches none; None: no
    folder of models is named."""
    if models is None:
        root = _root(settings, comfyui_dir)
        if root is None:
            return None
        here = model_services(settings, root)
        return HeldModels(here.store, here.upkeep, fetches=False)
    return HeldModels(models.store, models.upkeep, fetches=True)


def _root(settings: Settings, comfyui_dir: Path | None) -> Path | None:
    beside = None if comfyui_dir is None else comfyui_dir / "models"
    return settings.models.models_dir or beside


def policy_of(
    models: ModelServices | None, services: Services, worker: WorkerId
) -> FetchPolicy | None:
    """Return which jobs' models a worker fetches; None: it fetches none."""
    if models is None:
        return None
    given = services.settings.worker
    holders = ModelHolders(
        own=worker,
        workers=services.workers,
        clock=services.ports.clock,
        max_wait_s=given.affinity_max_wait_s if given.affinity else 0,
    )
    return FetchPolicy(models.store, holders=holders)


def provisioner_of(
    models: ModelServices | None,
    policy: FetchPolicy | None,
    *,
    capabilities: Capabilities,
    reporting: Reporting,
) -> Provisioner | None:
    """Return what brings models to a worker; None: it fetches none."""
    if models is None or policy is None:
        return None
    return Provisioner(
        store=models.store,
        fetcher=models.fetcher,
        policy=policy,
        capabilities=capabilities,
        reporting=reporting,
    )
