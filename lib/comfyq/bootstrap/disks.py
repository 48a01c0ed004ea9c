"""The disks of a worker's machine: free space, and ComfyUI's own folders."""

import secrets
from datetime import timedelta
from pathlib import Path

from comfyq.adapters.filesystem.folders import OWN_INPUTS, ComfyFolders
from comfyq.adapters.system.space import DiskSpace
from comfyq.bootstrap.services import Services
from comfyq.config import Settings
from comfyq.services.worker.disk_cleanup import DiskCleanup

LONGEST_USE = timedelta(days=1)  # of an input: from its upload to its prompt's start


def folders_of(services: Services, comfyui_dir: Path | None) -> ComfyFolders | None:
    if comfyui_dir is None:
        return None
    folders = ComfyFolders(comfyui_dir)
    folders.check()
    folders.sweep(before=services.ports.clock.now() - LONGEST_USE)
    return folders


def space_of(settings: Settings, folders: ComfyFolders | None) -> DiskSpace:
    # Not the worker's own folder in it, whose name clients would be shown: it has the worker's id.
    disks = {"the data directory": settings.data_dir}
    if folders is not None:
        disks["ComfyUI's output folder"] = folders.output
    return DiskSpace(disks, least_bytes=settings.worker.min_free_bytes)


def disk_cleanup_of(folders: ComfyFolders | None) -> DiskCleanup | None:
    if folders is None:
        return None
    return DiskCleanup(folders=folders, inputs=f"{OWN_INPUTS}/{secrets.token_hex(4)}")
