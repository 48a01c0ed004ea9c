"""The ports of one worker: those of its jobs, and those to its machine."""

from dataclasses import dataclass
from typing import Protocol

from comfyq.bootstrap.models.services import ModelServices
from comfyq.ports.caretaker import Caretaker
from comfyq.ports.catalogue import CatalogueSource
from comfyq.ports.engine import Engine, PreviewScaler
from comfyq.ports.inputs import Fetcher, InputFolder, Pictures
from comfyq.ports.journal import Journal
from comfyq.ports.protection import Protection
from comfyq.ports.space import Space
from comfyq.ports.spool import Spool
from comfyq.services.models.held_models import HeldModels
from comfyq.services.worker.disk_cleanup import DiskCleanup


class ComfyUI(Engine, InputFolder, CatalogueSource, Protocol):
    """One ComfyUI in all its parts."""


@dataclass(frozen=True, kw_only=True)
class WorkerPorts:
    """The ports of one worker: its ComfyUI, its own folder, and other people's servers."""

    comfyui: ComfyUI
    journal: Journal
    spool: Spool
    fetcher: Fetcher
    pictures: Pictures
    previews: PreviewScaler
    disk_cleanup: DiskCleanup | None = None  # None: ComfyUI's folders are not on this machine
    models: ModelServices | None = None  # None: the worker fetches no models
    held_models: HeldModels | None = None  # None: no folder of models is named


@dataclass(frozen=True, kw_only=True)
class MachinePorts:
    """The ports of a worker to its machine, beside those of its jobs."""

    caretaker: Caretaker
    space: Space
    catalogue_spool: Spool
    environment: str | None = None  # what ComfyUI is installed with; None: nothing tells
    protection: Protection | None = None  # None: nothing stops this process from outside
