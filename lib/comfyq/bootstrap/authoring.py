"""Commands of workflow authors: check their folders, import graphs."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comfyq.adapters.comfyui.engine import ComfyEngine
from comfyq.adapters.filesystem.drafts import write_draft
from comfyq.adapters.filesystem.models.locks import locked_models
from comfyq.adapters.filesystem.workflows import load_workflow
from comfyq.bootstrap.graph_files import CannotImport, content_of
from comfyq.domain.errors import InvalidGraph, InvalidWorkflow
from comfyq.domain.graph.documents.document import read_document
from comfyq.domain.graph.documents.encoding import decoded
from comfyq.domain.graph.graph import faults
from comfyq.domain.graph.node_catalogue import NodeCatalogue, read_catalogue
from comfyq.domain.models.errors import BadModelLock
from comfyq.domain.submission.admission import refusal_of_sample
from comfyq.domain.suggestions import among
from comfyq.domain.workflow.importer import Proposal, propose

NEEDS_CATALOGUE = (
    "is an editor file, which is converted by a ComfyUI's catalogue: name one by --comfyui URL or "
    "--object-info FILE"
)
NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}", re.IGNORECASE)
COMMON_NAMES = ("api", "graph", "prompt", "workflow", "workflow-api")  # of any exported graph


@dataclass(frozen=True, slots=True)
class Checked:
    """A workflow's folder, and what is wrong with it."""

    folder: Path
    problems: Sequence[str]


@dataclass(frozen=True, slots=True)
class Imported(Checked):
    """A workflow that was made, with what it was made of."""

    proposal: Proposal
    assumed: Sequence[str] = ()  # of nodes that an editor file does not say enough of


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
        CannotImport: the file has no graph, or an editor file that cannot be converted, an output
            does not exist, or the workflow exists already or cannot be written; nothing is left of
            it.
    """
    content = content_of(file)
    graph, assumed = _graph(file, content, catalogue)
    title = _title(file)
    name = name or NOT_IN_NAMES.sub("-", title.lower()).strip("-") or "imported"
    folder = into / name
    for node in outputs:
        if node not in graph:
            raise CannotImport(f"--output {node}: {among(node, graph)} in {file}")
    proposal = propose(graph, title=title, catalogue=catalogue, outputs=outputs)
    if not proposal.manifest["outputs"]:
        raise CannotImport(f"{file}: no node saves or shows anything; add one, or name --output")
    try:
        write_draft(folder, proposal, _as_exported(file, content, graph))
    except FileExistsError:
        raise CannotImport(f"{folder} exists already; choose another --name") from None
    except (InvalidWorkflow, OSError) as wrong:
        raise CannotImport(f"{folder} was not made: {wrong}") from None
    return Imported(folder, _problems(folder, catalogue), proposal, assumed)


def catalogue_of_file(file: Path) -> NodeCatalogue:
    """Read a catalogue from a saved answer to ``GET /object_info``; raises CannotImport."""
    info = content_of(file)
    if not isinstance(info, dict):
        raise CannotImport(f"{file}: is no answer to GET /object_info; save one with curl")
    return read_catalogue(info)


async def catalogue_of(comfyui_url: str) -> NodeCatalogue:
    """Read the catalogue of a running ComfyUI; raises EngineUnavailable."""
    async with ComfyEngine(comfyui_url) as engine:
        return read_catalogue(await engine.object_info())


def _title(file: Path) -> str:
    """Return the file's name or, if that says nothing of the graph, its folder's."""
    name = NOT_IN_NAMES.sub("-", file.stem.lower()).strip("-")
    says_nothing = name in COMMON_NAMES or UUID.fullmatch(file.stem) is not None
    return (file.absolute().parent.name or file.stem) if says_nothing else file.stem


def _workflows_in(folder: Path) -> list[Path]:
    """Return the folder's workflows, also those without a manifest, so that they are reported."""
    if not folder.is_dir():
        raise CannotImport(f"{folder}: there is no such folder")
    return sorted(each for each in folder.iterdir() if each.is_dir())


def _problems(folder: Path, catalogue: NodeCatalogue | None) -> Sequence[str]:
    try:
        workflow = load_workflow(folder)
        locked_models(folder)  # without a sound lock it is not served either
    except (InvalidWorkflow, BadModelLock) as broken:
        return [str(broken)]
    if catalogue is None:
        return []
    refused = refusal_of_sample(workflow, catalogue)
    return [] if refused is None else [f"{each.field}: {each.message}" for each in refused.fields]


def _as_exported(file: Path, content: Any, graph: Mapping[str, Any]) -> str:
    """Return a graph as its file has it, if the file holds that alone."""
    if content == graph:
        return decoded(file.read_bytes())
    return json.dumps(graph, indent=2, ensure_ascii=False) + "\n"


def _graph(
    file: Path, content: Any, catalogue: NodeCatalogue | None
) -> tuple[dict[str, Any], Sequence[str]]:
    """Return the graph in a file; an editor file is converted, which takes a catalogue, and what
    was assumed of its nodes is told."""
    try:
        document = read_document(content)
        if document.editor is not None and catalogue is None:
            raise CannotImport(f"{file}: {NEEDS_CATALOGUE}")
        graph, assumed = document.converted(catalogue)
    except InvalidGraph as wrong:
        raise CannotImport(f"{file}: {wrong}") from None
    reasons = faults(graph)
    if reasons:
        node = "" if reasons[0].node is None else f"node {reasons[0].node}: "
        raise CannotImport(f"{file}: {node}{reasons[0].message}")
    assert isinstance(graph, dict), "a graph without faults is one"
    return graph, assumed
