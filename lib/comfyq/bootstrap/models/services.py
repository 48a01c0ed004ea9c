"""The services of model files on this machine."""

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from comfyq.adapters.fetching.models.civitai import Civitai
from comfyq.adapters.fetching.models.hugging_face import HuggingFace
from comfyq.adapters.fetching.models.origins import HttpOrigins
from comfyq.adapters.fetching.models.session import OriginAccess, OriginSession
from comfyq.adapters.filesystem.models.room import Bounds
from comfyq.adapters.filesystem.models.store import FolderModels
from comfyq.config import AwsEndpoints, Settings
from comfyq.domain.models.errors import ModelRefused
from comfyq.ports.models.origins import ModelOrigins
from comfyq.ports.models.store import ModelStore
from comfyq.services.models.bounds import BoundedOrigins
from comfyq.services.models.fetching import ModelFetcher
from comfyq.services.models.locking import ModelLocking
from comfyq.services.models.retries import Sleep
from comfyq.services.models.upkeep import ModelUpkeep


@dataclass(frozen=True, slots=True)
class ModelServices:
    root: Path
    store: ModelStore
    fetcher: ModelFetcher
    locking: ModelLocking
    upkeep: ModelUpkeep


def models_root(settings: Settings) -> Path | None:
    """Return the folder of model files; None if the settings name none."""
    if settings.models.models_dir is not None:
        return settings.models.models_dir
    return None if settings.comfyui.dir is None else settings.comfyui.dir / "models"


def model_services(
    settings: Settings, root: Path, *, evicts: bool = False, sleep: Sleep = asyncio.sleep
) -> ModelServices:
    """Wire the services of the files below ``root``; with ``evicts``, unused ones are deleted for
    others."""
    given = settings.models
    session = OriginSession(OriginAccess(allowed=given.allowed_origins, tokens=given.tokens))
    origins = BoundedOrigins(
        http=HttpOrigins(
            session,
            hugging_face=HuggingFace(session, given.model_hub_hf),
            civitai=Civitai(session, given.model_hub_civitai),
        ),
        s3=partial(_s3, settings.endpoints),
        max_bytes=given.model_max_bytes,
        bytes_per_s=given.model_bytes_per_s,
    )
    bounds = Bounds(
        least_free_bytes=settings.worker.min_free_bytes,
        max_bytes=given.model_store_max_bytes,
        evicts=evicts,
    )
    store = FolderModels(root, bounds=bounds)
    fetcher = ModelFetcher(origins=origins, store=store, pickles=given.pickles, sleep=sleep)
    locking = ModelLocking(origins=origins, fetcher=fetcher, pickles=given.pickles, sleep=sleep)
    return ModelServices(root, store, fetcher, locking, ModelUpkeep(store))


def _s3(endpoints: AwsEndpoints) -> ModelOrigins:
    """Return the origin of files in S3; imported for who has such sources alone."""
    try:
        from comfyq.bootstrap.models.s3 import s3_models
    except ModuleNotFoundError as missing:
        raise ModelRefused(
            f"files in S3 need the package {missing.name}, which is not installed: comfyq[aws] has "
            "it"
        ) from None
    return s3_models(endpoints)
