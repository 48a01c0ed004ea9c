"""Models of workflows: what manifests name, and what locks beside them say."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from comfyq.adapters.filesystem.models.locks import locked_models, write_lock
from comfyq.adapters.filesystem.workflows import load_workflow
from comfyq.domain.errors import InvalidWorkflow
from comfyq.domain.models.errors import ModelRefused
from comfyq.domain.models.lock import LockedModel
from comfyq.domain.suggestions import among
from comfyq.domain.workflow.workflow import Model


@dataclass(frozen=True, slots=True)
class WorkflowModels:
    """The models of a workflow, and its lock."""

    name: str
    folder: Path
    models: Sequence[Model]
    locked: Sequence[LockedModel]

    def lock_of(self, model: Model) -> LockedModel | None:
        """Return the lock of a model, if it was made of the source that the manifest has now."""
        for each in self.locked:
            if (each.folder, each.file, each.source) == (model.folder, model.file, model.source):
                return each
        return None

    @property
    def current(self) -> Sequence[LockedModel]:
        """Return the locks of those models that have one."""
        return [lock for model in self.models if (lock := self.lock_of(model)) is not None]

    @property
    def unlocked(self) -> Sequence[Model]:
        """Return the models that have a source and no lock of it."""
        return [each for each in self.models if each.source and self.lock_of(each) is None]

    def write(self, locked: Iterable[LockedModel]) -> bool:
        """Write the lock, unless it is the same already; return whether it changed."""
        return write_lock(self.folder, locked)


def models_of(workflows: Path, names: Sequence[str]) -> Sequence[WorkflowModels]:
    """Read workflows, by their names or folders; without names, all of the folder.

    Raises:
        InvalidWorkflow: one of them does not exist or is broken.
        BadModelLock: a lock cannot be used.
    """
    read = [(folder, load_workflow(folder)) for folder in workflow_folders(workflows, names)]
    return [
        WorkflowModels(workflow.name, folder, workflow.models, locked_models(folder))
        for folder, workflow in read
    ]


def workflow_folders(workflows: Path, names: Sequence[str]) -> Sequence[Path]:
    """Return the folders of workflows that are named; without names, all of the folder; raises
    InvalidWorkflow."""
    known = {each.parent.name: each.parent for each in sorted(workflows.glob("*/manifest.toml"))}
    folders = [_folder(name, known) for name in names] if names else list(known.values())
    if not folders:
        raise InvalidWorkflow(f"{workflows}: there is no workflow (*/manifest.toml) in it")
    return folders


def distinct_models(workflows: Iterable[WorkflowModels]) -> Sequence[LockedModel]:
    """Return the locked models of several workflows, each once.

    Raises:
        ModelRefused: two of them want different files in one place.
    """
    models: dict[str, tuple[LockedModel, str]] = {}
    for workflow in workflows:
        for model in workflow.current:
            other, name = models.setdefault(model.path, (model, workflow.name))
            if other.sha256 != model.sha256:
                raise ModelRefused(
                    f"{model.path}: the locks of {name} and {workflow.name} name different files; "
                    f"`comfyq models lock --update {name} {workflow.name}` makes them the same "
                    "where their sources are"
                )
    return [model for model, _ in models.values()]


def _folder(name: str, known: dict[str, Path]) -> Path:
    if name in known:
        return known[name]
    folder = Path(name)
    if (folder / "manifest.toml").is_file():
        return folder.resolve()
    raise InvalidWorkflow(f"there is no workflow {name}; {among(name, known)}")
