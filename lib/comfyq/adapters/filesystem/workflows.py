"""Workflows as folders: ``NAME/manifest.toml``, ``graph.json`` and ``sample.json``."""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from comfyq.adapters.filesystem.lines import json_line, toml_line
from comfyq.adapters.filesystem.manifest import read_manifest
from comfyq.adapters.filesystem.sections import Broken
from comfyq.domain.errors import InvalidParameters, InvalidWorkflow, WorkflowNotFound
from comfyq.domain.graph.graph import Graph, faults
from comfyq.domain.suggestions import among
from comfyq.domain.workflow.workflow import Workflow

NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
POSITION = re.compile(r" \(at line (\d+), column \d+\)")


class FolderWorkflows:
    """Implements ports.workflows.Workflows; all are read when it is made.

    Raises:
        InvalidWorkflow: the folder has none.
    """

    def __init__(self, folder: Path) -> None:
        manifests = sorted(folder.glob("*/manifest.toml"))
        if not manifests:
            raise InvalidWorkflow(f"{folder}: there is no workflow (*/manifest.toml) in it")
        self._workflows: dict[str, Workflow] = {}
        self._faults: dict[str, str] = {}
        for each in (manifest.parent for manifest in manifests):
            try:
                self._workflows[each.name] = load_workflow(each)
            except InvalidWorkflow as broken:
                self._faults[each.name] = _without_path(each, str(broken))

    def get(self, name: str) -> Workflow:
        bare = name.removesuffix(".json")
        if bare in self._faults:
            raise WorkflowNotFound(f"workflow {bare} is broken: {self._faults[bare]}")
        workflow = self._workflows.get(bare)
        if workflow is None:
            raise WorkflowNotFound(f"there is no such workflow; {among(name, self._workflows)}")
        return workflow

    def names(self) -> Sequence[str]:
        return tuple(self._workflows)

    def faults(self) -> Mapping[str, str]:
        return self._faults


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
