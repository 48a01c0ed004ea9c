"""Workflows as folders: ``NAME/manifest.toml``, ``graph.json`` and ``sample.json``."""

import json
import re
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from comfyq.adapters.filesystem.lines import json_line, toml_line
from comfyq.adapters.filesystem.manifest import read_manifest
from comfyq.adapters.filesystem.models.locks import NAME as LOCK
from comfyq.adapters.filesystem.models.locks import locked_models
from comfyq.adapters.filesystem.sections import Broken
from comfyq.domain.errors import InvalidParameters, InvalidWorkflow, WorkflowNotFound
from comfyq.domain.graph.graph import Graph, faults
from comfyq.domain.models.errors import BadModelLock
from comfyq.domain.suggestions import among
from comfyq.domain.workflow.workflow import Workflow

NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
FILES = ("manifest.toml", "graph.json", "sample.json", LOCK)
LOOK_S = 1.0
Version = tuple[tuple[int, int] | None, ...]
OnRead = Callable[[str, str | None], None]
POSITION = re.compile(r" \(at line (\d+), column \d+\)")


class FolderWorkflows:
    """Implements ports.workflows.Workflows; all are read when it is made.

    A call looks at the files' times, at most once in ``look_s``, and reads those workflows again
    that are new or have changed. ``on_read`` gets the name of each that is read after the first
    time, and of each broken one, with its fault or None.

    Raises:
        InvalidWorkflow: the folder has none.
    """

    def __init__(
        self, folder: Path, *, look_s: float = LOOK_S, on_read: OnRead = lambda name, fault: None
    ) -> None:
        self._folder = folder
        self._look_s = look_s
        self._on_read = on_read
        self._workflows: dict[str, Workflow] = {}
        self._faults: dict[str, str] = {}
        self._read: dict[str, Version] = {}
        self._look()
        if not self._read:
            raise InvalidWorkflow(f"{folder}: there is no workflow (*/manifest.toml) in it")
        for name, fault in self._faults.items():
            on_read(name, fault)

    def get(self, name: str) -> Workflow:
        self._look_again()
        bare = name.removesuffix(".json")
        if bare in self._faults:
            raise WorkflowNotFound(f"workflow {bare} is broken: {self._faults[bare]}")
        workflow = self._workflows.get(bare)
        if workflow is None:
            raise WorkflowNotFound(f"there is no such workflow; {among(name, self._workflows)}")
        return workflow

    def names(self) -> Sequence[str]:
        self._look_again()
        return tuple(self._workflows)

    def faults(self) -> Mapping[str, str]:
        self._look_again()
        return self._faults

    def _look_again(self) -> None:
        if time.monotonic() - self._looked_at_s < self._look_s:
            return
        for name in self._look():
            self._on_read(name, self._faults.get(name))

    def _look(self) -> Sequence[str]:
        """Read what is new or has changed; return its names."""
        folders = {file.parent.name: file.parent for file in self._folder.glob("*/manifest.toml")}
        versions = {name: _version(folder) for name, folder in sorted(folders.items())}
        for name in self._read.keys() - versions.keys():
            self._forget(name)
        changed = [name for name, version in versions.items() if self._read.get(name) != version]
        for name in changed:
            self._forget(name)
            try:
                self._workflows[name] = _with_lock(load_workflow(folders[name]), folders[name])
            except (InvalidWorkflow, BadModelLock) as broken:
                self._faults[name] = _without_path(folders[name], str(broken))
        self._read = versions
        self._looked_at_s = time.monotonic()
        return changed

    def _forget(self, name: str) -> None:
        self._workflows.pop(name, None)
        self._faults.pop(name, None)


def _with_lock(workflow: Workflow, folder: Path) -> Workflow:
    """Return the workflow with the locks of its models; raises BadModelLock."""
    locks = {(each.folder, each.file, each.source): each for each in locked_models(folder)}
    wanted = [(each.folder, each.file, each.source) for each in workflow.models]
    current = tuple(locks[each] for each in wanted if each in locks)
    return replace(workflow, locked=current) if current else workflow


def _version(folder: Path) -> Version:
    """Return what changes when one of a workflow's files does."""
    return tuple(_written(folder / name) for name in FILES)


def _written(file: Path) -> tuple[int, int] | None:
    try:
        written = file.stat()
    except OSError:
        return None  # reading it says what is wrong
    return written.st_mtime_ns, written.st_size


def load_workflow(folder: Path) -> Workflow:
    """The workflow in ``folder``, named as it.

    Raises:
        InvalidWorkflow: it is broken; the message begins with file and line.
    """
    if not NAME.fullmatch(folder.name):
        raise InvalidWorkflow(f"{folder}: a workflow's name has a-z, 0-9 and - alone")
    graph = _read_graph(folder / "graph.json")
    sample = _read_json(folder / "sample.json")
    if not isinstance(sample, Mapping):
        raise _invalid(folder / "sample.json", 1, "a sample is an object of parameters")
    manifest_file = folder / "manifest.toml"
    source = _read(manifest_file)
    try:
        workflow = read_manifest(folder.name, _toml(manifest_file, source), graph, sample)
    except Broken as wrong:
        line = toml_line(source, wrong.path)
        raise _invalid(manifest_file, line, f"{'.'.join(wrong.path)}: {wrong}") from None
    _check_sample(folder / "sample.json", workflow)
    return workflow


def _read_graph(file: Path) -> Graph:
    graph = _read_json(file)
    for fault in faults(graph):
        line = 1 if fault.node is None else json_line(_read(file), fault.node)
        node = "" if fault.node is None else f"node {fault.node}: "
        raise _invalid(file, line, f"{node}{fault.message}")
    assert isinstance(graph, Mapping), "a graph without faults is one"
    return graph


def _check_sample(file: Path, workflow: Workflow) -> None:
    try:
        workflow.resolve(workflow.sample, draw_seed=lambda: 0)
    except InvalidParameters as wrong:
        line = json_line(_read(file), wrong.fields[0].field.split(".")[0])
        raise _invalid(file, line, str(wrong)) from None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InvalidWorkflow(f"{file}: is missing") from None
    except UnicodeDecodeError as wrong:
        raise InvalidWorkflow(f"{file}: is not UTF-8: {wrong}") from None
    except OSError as wrong:
        raise InvalidWorkflow(f"{file}: cannot be read: {wrong.strerror}") from None


def _read_json(file: Path) -> Any:
    try:
        return json.loads(_read(file))
    except json.JSONDecodeError as wrong:
        raise _invalid(file, wrong.lineno, f"is not JSON: {wrong.msg}") from None
    except (ValueError, RecursionError) as wrong:
        raise _invalid(file, 1, f"is not JSON that can be used: {wrong}") from None


def _toml(file: Path, source: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(source)
    except tomllib.TOMLDecodeError as wrong:
        position = POSITION.search(str(wrong))
        last_line = max(1, len(source.splitlines()))  # tomllib says “at end of document”
        line = int(position[1]) if position else last_line
        raise _invalid(file, line, f"is not TOML: {POSITION.sub('', str(wrong))}") from None


def _invalid(file: Path, line: int, message: str) -> InvalidWorkflow:
    return InvalidWorkflow(f"{file}:{line}: {message}")


def _without_path(folder: Path, message: str) -> str:
    """Return a fault as clients may see it: where the folder is, is the server's own matter."""
    return message.removeprefix(f"{folder}/").removeprefix(f"{folder}: ")
