"""Files that graphs load by the names that they were uploaded under."""

from collections.abc import Mapping
from typing import Any, Protocol

from comfyq.domain.caller import Caller
from comfyq.domain.files.file_place import BadPlace, named_place
from comfyq.domain.files.sources import ASSET, is_source
from comfyq.domain.workflow.file_inputs import named_files
from comfyq.services.files.named_files import NamedFiles
from comfyq.services.workflows.node_catalogues import KnownCatalogues


class FileServices(Protocol):
    """The services that finding files needs."""

    @property
    def catalogues(self) -> KnownCatalogues: ...

    @property
    def named_files(self) -> NamedFiles: ...


async def with_files(
    graph: Mapping[str, Any], services: FileServices, caller: Caller
) -> Mapping[str, Any]:
    """Return a graph with the caller's own files in the place of their names. Any other name is
    left: ComfyUI's folders may have such a file, as far as graphs may load it."""
    changed = dict(graph)
    known = await services.catalogues.known()
    for place, name in named_files(graph, known):
        source = None if is_source(name) else await _source_of(name, services, caller)
        if source is not None:
            inputs = {**changed[place.node]["inputs"], place.name: source}
            changed[place.node] = {**changed[place.node], "inputs": inputs}
    return changed


async def _source_of(name: str, services: FileServices, caller: Caller) -> str | None:
    try:
        place = named_place(name)
    except BadPlace:
        return None  # whoever checks the graph says what is wrong
    asset = await services.named_files.find(caller, place)
    return None if asset is None else f"{ASSET}{asset.id}"
