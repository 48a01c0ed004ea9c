"""Commands of workflow authors: check their folders, import graphs."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comfyq.adapters.comfyui.engine import ComfyEngine
from comfyq.adapters.filesystem.drafts import write_draft
from comfyq.adapters.filesystem.workflows import load_workflow
from comfyq.domain.errors import InvalidWorkflow
from comfyq.domain.graph.graph import faults
from comfyq.domain.graph.node_catalogue import NodeCatalogue, read_catalogue
from comfyq.domain.submission.admission import refusal_of_sample
from comfyq.domain.suggestions import among
from comfyq.domain.workflow.importer import Proposal, propose

NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Checked:
    """A workflow's folder, and what is wrong with it."""

    folder: Path
    problems: Sequence[str]


@dataclass(frozen=True, slots=True)
class Imported(Checked):
    """A workflow that was made, with what it was made of."""

    proposal: Proposal


class CannotImport(Exception):
    """The message is for a person."""


def check(folder: Path, catalogue: NodeCatalogue | None) -> Sequence[Checked]:
    """Check a workflow, or every workflow in a folder; against a ComfyUI's catalogue if given."""
    folders = [folder] if (folder / "manifest.toml").is_file() else _workflows_in(folder)
    return [Checked(each, _problems(each, catalogue)) for each in folders]


def import_graph(
    file: Path,
    *,
    into: Path,
    name: str | None,
    catalogue: NodeCatalogue | None,
    outputs: Sequence[str] = (),
) -> Imported:
    """Make a workflow's folder below ``into`` from an exported graph.

    Raises:
        CannotImport: the file is no graph in API format, an output does not exist, or the workflow
            exists already or cannot be written; nothing is left of it.
    """
    text = _read(file)
    graph = _graph(file, text)
    name = name or NOT_IN_NAMES.sub("-", file.stem.lower()).strip("-") or "imported"
    folder = into / name
    for node in outputs:
        if node not in graph:
            raise CannotImport(f"--output {node}: {among(node, graph)} in {file}")
    proposal = propose(graph, title=file.stem, catalogue=catalogue, outputs=outputs)
    if not proposal.manifest["outputs"]:
        raise CannotImport(f"{file}: no node saves or shows anything; add one, or name --output")
    try:
        write_draft(folder, proposal, text)
    except FileExistsError:
        raise CannotImport(f"{folder} exists already; choose another --name") from None
    except (InvalidWorkflow, OSError) as wrong:
        raise CannotImport(f"{folder} was not made: {wrong}") from None
    return Imported(folder, _problems(folder, catalogue), proposal)


def catalogue_of_file(file: Path) -> NodeCatalogue:
    """Read a catalogue from a saved answer to ``GET /object_info``; raises CannotImport."""
    info = _json(file, _read(file))
    if not isinstance(info, dict):
        raise CannotImport(f"{file}: is no answer to GET /object_info; save one with curl")
    return read_catalogue(info)


async def catalogue_of(comfyui_url: str) -> NodeCatalogue:
    """Read the catalogue of a running ComfyUI; raises EngineUnavailable."""
    async with ComfyEngine(comfyui_url) as engine:
        return read_catalogue(await engine.object_info())


def _workflows_in(folder: Path) -> list[Path]:
    """Return the folder's workflows, also those without a manifest, so that they are reported."""
    if not folder.is_dir():
        raise CannotImport(f"{folder}: there is no such folder")
    return sorted(each for each in folder.iterdir() if each.is_dir())


def _problems(folder: Path, catalogue: NodeCatalogue | None) -> Sequence[str]:
    try:
        workflow = load_workflow(folder)
    except InvalidWorkflow as broken:
        return [str(broken)]
    if catalogue is None:
        return []
    refused = refusal_of_sample(workflow, catalogue)
    return [] if refused is None else [f"{each.field}: {each.message}" for each in refused.fields]


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as wrong:
        raise CannotImport(f"{file}: cannot be read: {wrong}") from None


def _json(file: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as wrong:
        raise CannotImport(f"{file}: is not JSON: {wrong}") from None


def _graph(file: Path, text: str) -> dict[str, Any]:
    graph = _json(file, text)
    wrong = faults(graph)
    if wrong:
        node = "" if wrong[0].node is None else f"node {wrong[0].node}: "
        raise CannotImport(f"{file}: {node}{wrong[0].message}")
    assert isinstance(graph, dict), "a graph without faults is one"
    return graph
