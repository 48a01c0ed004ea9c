"""The graph of a job as its client may see it: with its files, which the worker binds into it."""

from collections.abc import Mapping
from typing import Any

from comfyq.domain.files.references import reference_to, references_in, referred
from comfyq.domain.files.sources import asset_id_of, shown_source
from comfyq.domain.graph.graph import Input, copied, set_input
from comfyq.domain.submission.spec import Spec
from comfyq.edges.comfy_v2.errors import MissingAsset, refused


def workflow_of(spec: Spec) -> dict[str, Any]:
    """Return the graph, with a reference to each stored file, and the URLs of others without
    secrets."""
    graph = copied(spec.graph)
    for file in spec.inputs:
        asset_id = asset_id_of(file.source)
        shown: Any = shown_source(file.source)
        if asset_id is not None:
            shown = reference_to(asset_id, blake3=file.blake3)
        set_input(graph, Input(file.node, file.input), shown)
    return graph


def require_references(workflow: Mapping[str, Any]) -> None:
    """Raise MissingAsset if a reference in a graph names no asset."""
    for reference in references_in(workflow):
        if referred(reference) is None:
            message = "has a reference without the UUID of an asset as `info.id`"
            raise refused("workflow", message, MissingAsset)
