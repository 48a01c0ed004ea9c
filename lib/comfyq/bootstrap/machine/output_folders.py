"""The folders in which an owner finds outputs by day and job."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comfyq.bootstrap.machine.writable import writing_fault
from comfyq.bootstrap.ports import MissingSetting
from comfyq.bootstrap.runtime_file import NotRunning, read_runtime
from comfyq.config import Backend, Settings

if TYPE_CHECKING:
    from comfyq.adapters.filesystem.output_folders import LinkedOutputFolders


def output_folders(settings: Settings) -> "LinkedOutputFolders | None":
    """Return the folders that the settings want; None if they want none.

    Raises:
        MissingSetting: the outputs are not kept as files of this machine, or the folder cannot
            be written.
    """
    if settings.outputs_dir is None:
        return None
    if settings.backend is not Backend.EMBEDDED or settings.minio.endpoint is not None:
        raise MissingSetting(
            "COMFYQ_OUTPUTS_DIR has links to files of this machine: it goes with the embedded "
            "backend alone, and without MINIO_ENDPOINT"
        )
    fault = writing_fault(settings.outputs_dir)
    if fault is not None:
        raise MissingSetting(
            f"COMFYQ_OUTPUTS_DIR names {settings.outputs_dir}, which cannot be written ({fault}): "
            "name another folder, or unset it"
        )
    return _folders(settings, settings.outputs_dir)


def linked_file(settings: Settings, job: Mapping[str, Any], index: int) -> Path | None:
    """Return the link on this machine to an output of a job, which is as the API shows it."""
    folder = settings.outputs_dir
    if folder is None:
        try:
            named = read_runtime(settings.data_dir).get("COMFYQ_OUTPUTS_DIR")
        except NotRunning:
            named = None
        folder = Path(named) if named else None
    if folder is None:
        return None
    created_at = datetime.fromisoformat(job["created_at"])
    return _folders(settings, folder).find(job["id"], created_at, index)


def _folders(settings: Settings, folder: Path) -> "LinkedOutputFolders":
    # a Lambda that has no such folders starts without SQLite
    from comfyq.adapters.filesystem.output_folders import LinkedOutputFolders
    from comfyq.bootstrap.backends.embedded import stored_files

    return LinkedOutputFolders(folder, stored=stored_files(settings).path_of)
