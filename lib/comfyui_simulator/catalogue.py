"""The node classes the simulator knows, in the shape of ComfyUI's `/object_info`.

`object_info.json` is derived from a real ComfyUI by `tests/data/comfyui/derive_catalogue.py`.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

# Inputs that name an uploaded file: ComfyUI checks that it exists, not that it was listed.
FILE_INPUTS = {
    ("LoadImage", "image"): "image",
    ("LoadImageMask", "image"): "image",
    ("LoadAudio", "audio"): "audio",
}

# Inputs that list the files of a folder below ``models``.
MODEL_INPUTS = {
    ("CheckpointLoaderSimple", "ckpt_name"): "checkpoints",
    ("LoraLoader", "lora_name"): "loras",
    ("LoraLoaderModelOnly", "lora_name"): "loras",
    ("UNETLoader", "unet_name"): "diffusion_models",
    ("CLIPLoader", "clip_name"): "text_encoders",
    ("VAELoader", "vae_name"): "vae",
    ("UpscaleModelLoader", "model_name"): "upscale_models",
}
MODEL_SUFFIXES = (".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf")


@dataclass(frozen=True)
class InputSpec:
    """One input of a node class."""

    name: str
    type: str | list[Any]
    """A type name such as "INT" or "MODEL", or the list of values of a classic choice."""
    options: Mapping[str, Any]
    required: bool

    @property
    def config(self) -> list[Any]:
        """Return the input's declaration as validation errors show it."""
        return [self.type, dict(self.options)]


@dataclass(frozen=True)
class NodeClass:
    """The inputs and outputs of one node class."""

    name: str
    inputs: tuple[InputSpec, ...]
    outputs: tuple[str, ...]
    is_output: bool
    knows_its_id: bool
    """Its result may depend on the node's id, so two nodes never share a cached result."""
    info: Mapping[str, Any] = field(repr=False)

    def input(self, name: str) -> InputSpec | None:
        return next((spec for spec in self.inputs if spec.name == name), None)

    def makes(self, *types: str) -> bool:
        """Return whether the class has an output of any of these types."""
        return any(made in types for made in self.outputs)


class Catalogue:
    """All node classes, by name."""

    def __init__(
        self, info: Mapping[str, Mapping[str, Any]], *, models_dir: Path | None = None
    ) -> None:
        self._classes = {name: _node_class(entry) for name, entry in info.items()}
        self._models_dir = models_dir

    def get(self, name: str) -> NodeClass | None:
        return self._classes.get(name)

    def __getitem__(self, name: str) -> NodeClass:
        return self._classes[name]

    def object_info(self, inputs: Mapping[str, list[str]]) -> dict[str, Any]:
        """The answer to `/object_info`; `inputs` lists uploaded files by kind, image and audio."""
        return {name: self.node_info(name, inputs) for name in self._classes}

    def node_info(self, name: str, inputs: Mapping[str, list[str]]) -> dict[str, Any]:
        """One class in that answer."""
        info: dict[str, Any] = dict(self._classes[name].info)
        for (class_type, input_name), kind in FILE_INPUTS.items():
            if class_type == name:
                info = json.loads(json.dumps(info))
                info["input"]["required"][input_name][0] = inputs[kind]
        for (class_type, input_name), folder in MODEL_INPUTS.items():
            if class_type == name and (files := self._model_files(folder)):
                info = json.loads(json.dumps(info))
                listed = _choices(info["input"]["required"][input_name])
                listed += [file for file in files if file not in listed]
        return info

    def has_model(self, class_type: str, input_name: str, value: Any) -> bool:
        """Return whether an input may name a file because it is in the folder of models."""
        folder = MODEL_INPUTS.get((class_type, input_name))
        return folder is not None and value in self._model_files(folder)

    def _model_files(self, folder: str) -> list[str]:
        """List a folder's model files anew, as ComfyUI does when the folder has changed."""
        if self._models_dir is None:
            return []
        top = self._models_dir / folder
        found = [
            Path(at, name) for at, _, names in os.walk(top, followlinks=True) for name in names
        ]
        models = [each for each in found if each.suffix in MODEL_SUFFIXES and each.is_file()]
        return sorted(each.relative_to(top).as_posix() for each in models)


@cache
def load_catalogue(models_dir: Path | None = None) -> Catalogue:
    """The catalogue shipped with the package, with the model files of a folder."""
    text = resources.files("comfyui_simulator").joinpath("object_info.json").read_text()
    return Catalogue(json.loads(text), models_dir=models_dir)


def _choices(spec: list[Any]) -> list[Any]:
    """The list of values in a choice's declaration, classic or of the newer schema."""
    listed: list[Any] = spec[0] if isinstance(spec[0], list) else spec[1]["options"]
    return listed


def _node_class(info: Mapping[str, Any]) -> NodeClass:
    return NodeClass(
        name=info["name"],
        inputs=tuple(_input_specs(info["input"])),
        outputs=tuple(info["output"]),
        is_output=info["output_node"],
        knows_its_id="UNIQUE_ID" in json.dumps(info["input"].get("hidden", {})),
        info=info,
    )


def _input_specs(groups: Mapping[str, Any]) -> list[InputSpec]:
    return [
        InputSpec(name, spec[0], spec[1] if len(spec) > 1 else {}, group == "required")
        for group in ("required", "optional")
        for name, spec in groups.get(group, {}).items()
    ]
