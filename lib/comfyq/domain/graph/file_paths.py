"""Paths that lead out of ComfyUI's folders, which a client's own graph may not name.

Loaders open whatever file the ComfyUI process can read, and nodes that save datasets make folders
wherever they are told to. So a file or folder that a client names is one below ComfyUI's folders,
whether it is written into the input or reaches it by a link. What a link brings is worked out where
it is made of literals alone; any other text that is computed may be any path.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from comfyq.domain.graph.constant_texts import ConstantTexts
from comfyq.domain.graph.errors import At, GraphError
from comfyq.domain.graph.graph import Graph, Input, Ref, reference
from comfyq.domain.graph.node_catalogue import InputSpec, NodeCatalogue
from comfyq.domain.graph.saved_names import PREFIX, is_foreign, texts
from comfyq.domain.graph.saving_nodes import is_replaced
from comfyq.domain.graph.type_matching import ANY, COMBO, MATCH, type_names
from comfyq.domain.graph.value_range import spec_at

# Words in names of inputs: `folder_name`, `image_path`, `output_dir` take files or folders. An
# `image` is one, too, unless the name says that it is a text: `image_description`.
PLACES = {
    *("dir", "directories", "directory", "dirname", "dirpath", "dirs", "file", "filename"),
    *("filenames", "filepath", "filepaths", "files", "folder", "foldername", "folders", "path"),
    *("paths", "subfolder", "subfolders"),
}
MEDIA = {"audio", "image", "images", "latent", "mask", "model", "video"}
TEXTS = {"caption", "description", "prompt", "text"}
LOADS = "load"  # in the name of a class that reads the file which a text names
SHOWN = frozenset({("Preview3D", "model_file"), ("Preview3DAnimation", "model_file")})
"""Inputs whose text a class only hands to the editor: whatever links bring there opens no file."""
TEXT_TYPES = frozenset({"STRING", COMBO, ANY, MATCH})  # types of what may be a text
CAPITAL = re.compile(r"(?<=[a-z\d])(?=[A-Z])")  # which begins a word of `outputDir`
ABSOLUTE = re.compile(r"\s*(?:[/\\~]|[A-Za-z]:[/\\])")


def outside_paths(graph: Graph, catalogue: NodeCatalogue | None) -> Iterator[GraphError]:
    """Find values of file and folder inputs that are absolute, or lead upwards by ``..``, and
    links into such inputs whose text is not known before the graph runs, or names a job's files.

    A prefix of saved files may be any path: it is replaced by one in the job's own folder.
    """
    links = _Links(graph, catalogue)
    for node, body in graph.items():
        for name, value in body["inputs"].items():
            place, source = Input(node, name), reference(value)
            if source is not None:
                yield from links.faults(place, source)
            elif any(map(_leads_out, texts(value))) and _names_file(graph, place, catalogue):
                yield At(node, body["class_type"]).outside_path(name)


def _leads_out(text: str) -> bool:
    """Return whether a path is not below a folder; some nodes join its parts before they open it,
    so neither a long path nor one with an odd part is harmless."""
    return ABSOLUTE.match(text) is not None or ".." in text.replace("\\", "/").strip().split("/")


@lru_cache(maxsize=1_024)  # the same names come with every graph
def _words(name: str) -> frozenset[str]:
    return frozenset(re.split(r"[\W_\d]+", CAPITAL.sub("_", name).lower()))


def names_place(name: str) -> bool:
    """Return whether the name of an input says that it takes a file or a folder."""
    return bool(_words(name) & PLACES)


def names_medium(name: str) -> bool:
    """Return whether the name of an input says that a text in it is the name of a file."""
    words = _words(name)
    return bool(words & MEDIA and not words & TEXTS)


def _names_file(graph: Graph, place: Input, catalogue: NodeCatalogue | None) -> bool:
    if place.name == PREFIX:
        return False
    if names_place(place.name) or names_medium(place.name):
        return True
    spec = spec_at(catalogue, graph, place) if catalogue else None
    return spec is not None and spec.is_file


class _Links:
    """Links into inputs that name files or folders."""

    def __init__(self, graph: Graph, catalogue: NodeCatalogue | None) -> None:
        self._graph = graph
        self._catalogue = catalogue
        self._texts = ConstantTexts(graph)

    def faults(self, place: Input, source: Ref) -> Iterator[GraphError]:
        if not _names_file(self._graph, place, self._catalogue):
            return
        class_type = self._graph[place.node]["class_type"]
        text = self._texts.of([*source])
        if text is not None:
            if _leads_out(text):
                yield At(place.node, class_type).outside_path(place.name)
            elif is_foreign(text):
                yield At(place.node, class_type).foreign_name(place.name)
        elif self._must_be_known(class_type, place) and self._may_be_text(source):
            yield At(place.node, class_type).unknown_path(place.name, source.node)

    def _must_be_known(self, class_type: str, place: Input) -> bool:
        """Return whether the input takes a path as text, and a job's folder does not replace it."""
        if is_replaced(class_type, place.name) or (class_type, place.name) in SHOWN:
            return False
        spec = spec_at(self._catalogue, self._graph, place) if self._catalogue else None
        is_place = names_place(place.name.rpartition(".")[2])
        if spec is None or not _takes_text(spec):
            return spec is None and is_place
        is_read = LOADS in class_type.lower() and spec.choices is None
        return spec.is_file or is_read or is_place

    def _may_be_text(self, source: Ref) -> bool:
        """Return whether an output gives text, for all that the catalogue says."""
        node, output = self._texts.source(source)
        classes = self._catalogue.classes if self._catalogue else {}
        node_class = classes.get(self._graph[node]["class_type"])
        if self._catalogue is None or node_class is None:
            return True
        if not 0 <= output < len(node_class.outputs):
            return True
        names = frozenset(type_names(node_class.outputs[output]))
        known = names and names <= self._catalogue.core_types
        return not known or not names.isdisjoint(TEXT_TYPES)


def _takes_text(spec: InputSpec) -> bool:
    return not isinstance(spec.type, str) or not TEXT_TYPES.isdisjoint(type_names(spec.type))
