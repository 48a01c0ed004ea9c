"""The pictures that a request brings along, which its graph loads by their names."""

from collections.abc import Mapping, Sequence
from typing import Any

from comfyq.aio.chunks import once
from comfyq.domain.caller import Caller
from comfyq.domain.errors import FieldError, InvalidRequest
from comfyq.domain.files.media_types import HEAD_BYTES, told_or_seen
from comfyq.domain.files.sources import ASSET, BadSource, DataFile, is_data, read_data_uri
from comfyq.domain.graph.node_catalogue import NodeCatalogue
from comfyq.domain.workflow.file_inputs import named_files
from comfyq.services.files.uploads import Uploads
from comfyq.wire.runpod.requests import ImageInput

OF_INPUTS = " [input]"  # with which ComfyUI names a file of its folder `input`
PLAIN = "data:application/octet-stream;base64,"


async def with_pictures(
    workflow: Mapping[str, Any],
    images: Sequence[ImageInput],
    *,
    uploads: Uploads,
    caller: Caller,
    catalogues: Sequence[NodeCatalogue],
) -> dict[str, Any]:
    """Store pictures, and return the graph with each in the place of its name, where that is the
    name of a file; loaders of custom classes are known by ``catalogues``.

    Raises:
        InvalidRequest: a picture is none, or no node loads it.
        And what ``Uploads.add`` raises.
    """
    files = [_decoded(number, image) for number, image in enumerate(images)]
    loaded = list(named_files(workflow, catalogues))
    names = {name.removesuffix(OF_INPUTS) for _, name in loaded}
    for number, image in enumerate(images):
        if image.name not in names:
            message = f"no node of the workflow loads {image.name!r}; name it in a LoadImage node"
            raise _refused(number, "name", message)
    sources: dict[str, str] = {}
    for image, file in zip(images, files, strict=True):
        asset = await uploads.add(
            caller, once(file.content), filename=image.name, content_type=_type_of(file)
        )
        sources[image.name] = f"{ASSET}{asset.id}"
    graph = dict(workflow)
    for place, name in loaded:
        if (source := sources.get(name.removesuffix(OF_INPUTS))) is not None:
            inputs = {**graph[place.node]["inputs"], place.name: source}
            graph[place.node] = {**graph[place.node], "inputs": inputs}
    return graph


def _decoded(number: int, image: ImageInput) -> DataFile:
    source = image.image if is_data(image.image) else f"{PLAIN}{image.image}"
    try:
        return read_data_uri(source)
    except BadSource as bad:
        raise _refused(number, "image", str(bad)) from None


def _type_of(file: DataFile) -> str:
    return told_or_seen(file.content_type, file.content[:HEAD_BYTES])


def _refused(number: int, field: str, message: str) -> InvalidRequest:
    place = f"input.images.{number}.{field}"
    return InvalidRequest(f"{place}: {message}", [FieldError(place, message)])
