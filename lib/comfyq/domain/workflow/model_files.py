"""Model files that a graph loads, each with the folder that it belongs into."""

from collections.abc import Iterator, Mapping
from typing import Any

from comfyq.domain.graph.graph import Input
from comfyq.domain.graph.model_names import EXTENSIONS
from comfyq.domain.graph.node_catalogue import MODELS, SOURCES
from comfyq.domain.workflow.catalogued_graph import CataloguedGraph, last_part

SEARCH = "https://huggingface.co/models?search="
NOTE = "a search, until somebody says where it is"
GUESSED = "; the folder's name is a guess, by the input's"
ENDINGS = ("_name", "_file", "_path", "_model")  # of inputs that name a file

# inputs of ComfyUI's own loaders -> the folder below ``models``
LOADERS: Mapping[Input, str] = {place: folder for folder in MODELS for place in SOURCES[folder]}
# inputs of loaders of any class, by their name
FOLDERS: Mapping[str, str] = {
    "audio_encoder_name": "audio_encoders",
    "bg_removal_name": "background_removal",
    "ckpt_name": "checkpoints",
    "clip_name": "text_encoders",
    "clip_name1": "text_encoders",
    "clip_name2": "text_encoders",
    "clip_name3": "text_encoders",
    "clip_name4": "text_encoders",
    "control_net_name": "controlnet",
    "gligen_name": "gligen",
    "hypernetwork_name": "hypernetworks",
    "lora_name": "loras",
    "model_name": "upscale_models",
    "photomaker_model_name": "photomaker",
    "style_model_name": "style_models",
    "text_encoder": "text_encoders",
    "unet_name": "diffusion_models",
    "vae_name": "vae",
}


def model_files(catalogued: CataloguedGraph) -> Iterator[dict[str, Any]]:
    """Yield the files that the graph loads; where people get them is for the author to say."""
    seen: set[tuple[str, str]] = set()
    for place, value in catalogued.places():
        if not isinstance(value, str) or not value.lower().endswith(EXTENSIONS):
            continue
        folder = folder_of(catalogued, place)
        note = NOTE if folder else NOTE + GUESSED
        folder = folder or _guessed(place.name)
        if (folder, value) in seen:
            continue
        seen.add((folder, value))
        stem = value.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
        yield {"file": value, "folder": folder, "url": SEARCH + stem, "note": note}


def folder_of(catalogued: CataloguedGraph, place: Input) -> str | None:
    """Return the folder of a loader's files: by its class, its list, or its input's name."""
    name = last_part(place.name)
    known = LOADERS.get(Input(catalogued.class_type(place.node), name))
    if known is not None:
        return known
    spec, catalogue = catalogued.spec(place), catalogued.catalogue
    if spec is not None and catalogue is not None and spec.choices:
        listed = set(spec.choices)
        for folder, names in catalogue.models.items():
            if listed == set(names):
                return folder
    return FOLDERS.get(name)


def _guessed(name: str) -> str:
    short = last_part(name)
    ending = next((each for each in ENDINGS if short.endswith(each)), "")
    return short[: len(short) - len(ending)] or short
