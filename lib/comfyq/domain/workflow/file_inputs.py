"""Inputs that take a file, by class or by the flag that the catalogue has for an upload."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from comfyq.domain.graph.graph import Input
from comfyq.domain.graph.node_catalogue import InputSpec, NodeCatalogue

FILES: Mapping[tuple[str, str], str] = {  # inputs that take a file -> its kind
    ("LoadImage", "image"): "image",
    ("LoadImageMask", "image"): "mask",
    ("LoadVideo", "file"): "video",
    ("LoadAudio", "audio"): "audio",
    ("Load3D", "model_file"): "model_3d",
    ("Load3DAdvanced", "model_file"): "model_3d",
    ("Load3DAnimation", "model_file"): "model_3d",
}
FOLDERS = frozenset(  # inputs that take what a job cannot bring: folders, latents, others' outputs
    {
        ("LoadImageDataSetFromFolder", "folder"),
        ("LoadImageTextDataSetFromFolder", "folder"),
        ("LoadVideoDataSetFromFolder", "folder"),
        ("LoadVideoTextDataSetFromFolder", "folder"),
        ("LoadTrainingDataset", "folder_name"),
        ("LoadLatent", "latent"),
        ("LoadImageOutput", "image"),
    }
)
FLAGS: Mapping[str, str] = {  # option of an input that the editor has an upload button for -> kind
    "image_upload": "image",
    "video_upload": "video",
    "audio_upload": "audio",
}
SUFFIXES: Mapping[str, tuple[str, ...]] = {  # of names in graphs whose catalogue is not known
    "image": (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    "video": (".mp4", ".webm", ".mov", ".mkv", ".avi"),
    "audio": (".wav", ".mp3", ".flac", ".ogg", ".m4a", ".opus"),
    "model_3d": (".glb", ".gltf", ".obj", ".fbx", ".stl", ".ply", ".usdz"),
}
LOADS = "load"  # in the name of a class that reads a file


def file_kind(class_type: str, name: str, spec: InputSpec | None) -> str | None:
    """Return the kind of file that an input takes; None: it takes none, or it is not known."""
    kind = FILES.get((class_type, name))
    if kind is not None or spec is None:
        return kind
    return next((kind for flag, kind in FLAGS.items() if spec.options.get(flag)), None)


def likely_kind(class_type: str, value: str) -> str | None:
    """Guess the kind of the file that a loader of an unknown class names."""
    if LOADS not in class_type.lower():
        return None
    ending = value.lower()
    return next((kind for kind, ends in SUFFIXES.items() if ending.endswith(ends)), None)


def named_files(
    graph: Mapping[str, Any], catalogues: Sequence[NodeCatalogue]
) -> Iterator[tuple[Input, str]]:
    """Yield each input of a graph that names a file, with the name; loaders of custom classes are
    known by ``catalogues``. The graph may be broken, of which whoever checks it tells."""
    for node, body in graph.items():
        if not isinstance(body, Mapping) or not isinstance(body.get("inputs"), Mapping):
            continue
        for name, value in body["inputs"].items():
            if isinstance(value, str) and _takes_file(body, name, catalogues):
                yield Input(node, name), value


def _takes_file(
    body: Mapping[str, Any], input_name: str, catalogues: Sequence[NodeCatalogue]
) -> bool:
    class_type = str(body.get("class_type"))
    if file_kind(class_type, input_name, None) is not None:
        return True
    classes = (each.classes.get(class_type) for each in catalogues)
    specs = (each.inputs.get(input_name) for each in classes if each is not None)
    return any(file_kind(class_type, input_name, spec) is not None for spec in specs)
