"""The node classes of one ComfyUI, read from its ``GET /object_info``.

Custom nodes may put anything there, so entries of unknown shape are left out or not checked.
See https://docs.comfy.org/custom-nodes/backend/datatypes
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

from comfyq.domain.graph.graph import Input
from comfyq.domain.graph.own_validators import compares_types, is_core, is_free
from comfyq.domain.graph.type_matching import type_names

ObjectInfo = Mapping[str, Any]

# Inputs that take a file of the input folder, which comes with the job, or names that ComfyUI
# fetches from elsewhere: what is listed is not all that may be used.
OPEN_CHOICES = frozenset(
    {"image_upload", "audio_upload", "video_upload", "file_upload", "remote", "image_folder"}
)
PROSE = frozenset({"tooltip", "description", "display_name", "category"})
PROSE_LISTS = frozenset({"output_tooltips", "search_aliases"})

# Where the names of each kind of model, and of samplers, are listed: the first class that is there.
SOURCES: Mapping[str, tuple[Input, ...]] = {
    "samplers": (Input("KSampler", "sampler_name"), Input("KSamplerSelect", "sampler_name")),
    "schedulers": (Input("KSampler", "scheduler"), Input("BasicScheduler", "scheduler")),
    "checkpoints": (Input("CheckpointLoaderSimple", "ckpt_name"),),
    "diffusion_models": (Input("UNETLoader", "unet_name"),),
    "loras": (Input("LoraLoader", "lora_name"), Input("LoraLoaderModelOnly", "lora_name")),
    "vae": (Input("VAELoader", "vae_name"),),
    "text_encoders": (Input("CLIPLoader", "clip_name"), Input("DualCLIPLoader", "clip_name1")),
    "clip_vision": (Input("CLIPVisionLoader", "clip_name"),),
    "controlnet": (Input("ControlNetLoader", "control_net_name"),),
    "upscale_models": (Input("UpscaleModelLoader", "model_name"),),
    "audio_encoders": (Input("AudioEncoderLoader", "audio_encoder_name"),),
    "background_removal": (Input("LoadBackgroundRemovalModel", "bg_removal_name"),),
    "frame_interpolation": (Input("FrameInterpolationModelLoader", "model_name"),),
    "gligen": (Input("GLIGENLoader", "gligen_name"),),
    "hypernetworks": (Input("HypernetworkLoader", "hypernetwork_name"),),
    "latent_upscale_models": (Input("LatentUpscaleModelLoader", "model_name"),),
    "model_patches": (Input("ModelPatchLoader", "name"),),
    "optical_flow": (Input("OpticalFlowLoader", "model_name"),),
    "photomaker": (Input("PhotoMakerLoader", "photomaker_model_name"),),
    "style_models": (Input("StyleModelLoader", "style_model_name"),),
}
MODELS = frozenset(SOURCES) - {"samplers", "schedulers"}


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """One input of a node class."""

    name: str
    type: Any  # a type's name, or the list of values of a classic choice
    required: bool
    options: Mapping[str, Any] = field(default_factory=dict)
    choices: tuple[Any, ...] | None = None  # None: not restricted to a list
    is_free: bool = False  # its class may accept what list and range do not

    @property
    def is_file(self) -> bool:
        """Return whether the input names a file, which need not be one of the listed choices."""
        return not OPEN_CHOICES.isdisjoint(self.options)

    @property
    def is_multiple(self) -> bool:
        """Return whether the value may be a list of choices."""
        return bool(self.options.get("multiselect"))

    @property
    def config(self) -> list[Any]:
        """Return the input's declaration as ComfyUI's errors show it."""
        return [self.type, dict(self.options)]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeClass:
    name: str
    inputs: Mapping[str, InputSpec]
    outputs: tuple[Any, ...]  # a type's name, or a list of values, each
    is_output: bool
    is_core: bool = True  # a part of ComfyUI, whose validators are known
    compares_types: bool = True  # links into it are checked for their type


@dataclass(frozen=True)
class NodeCatalogue:
    """The node classes of one ComfyUI. ``id`` is the hash of what they are made of."""

    id: str
    classes: Mapping[str, NodeClass]
    fetches: bool = False  # a worker that has it fetches models that are locked and not listed

    def choices(self, class_type: str, name: str) -> tuple[str, ...]:
        """Return the choices of an input; none if it has no choices or does not exist."""
        node_class = self.classes.get(class_type)
        spec = node_class.inputs.get(name) if node_class else None
        return tuple(str(choice) for choice in (spec.choices or ())) if spec else ()

    def names(self, source: str) -> tuple[str, ...]:
        """Return the file names of a source, such as ``loras``."""
        return self._by_source[source]

    @cached_property
    def _by_source(self) -> Mapping[str, tuple[str, ...]]:
        """Cache the names by source: there may be thousands, and each request looks some up."""
        return {source: self._listed(places) for source, places in SOURCES.items()}

    def _listed(self, places: Sequence[Input]) -> tuple[str, ...]:
        for class_type, name in places:
            if class_type in self.classes:
                return self.choices(class_type, name)
        return ()

    @cached_property
    def models(self) -> Mapping[str, tuple[str, ...]]:
        """Names of models by kind."""
        return {kind: self.names(kind) for kind in sorted(MODELS)}

    @cached_property
    def core_types(self) -> frozenset[str]:
        """Names of types that ComfyUI's own classes use, of which it is known how they compare."""
        core = [each for each in self.classes.values() if each.is_core]
        declared = [spec.type for each in core for spec in each.inputs.values()]
        declared += [kind for each in core for kind in each.outputs]
        return frozenset(name for kind in declared for name in type_names(kind))


def essence(info: ObjectInfo) -> bytes:
    """Reduce an object_info to what graphs depend on, as JSON: equal for equal catalogues.

    Without prose, and without the names of uploaded files, which change with every job.
    """
    # Inputs stay in their order, in which editor files list the values of widgets. Each class is
    # written by itself: between two of them other threads run.
    written = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
    classes = (f"{written(name)}:{written(_without_prose(info[name]))}" for name in sorted(info))
    return f"{{{','.join(classes)}}}".encode("utf-8", "replace")


def id_of(essential: bytes) -> str:
    return sha256(essential).hexdigest()


def read_catalogue(info: ObjectInfo, *, id: str = "") -> NodeCatalogue:
    """Parse an object_info."""
    classes = {name: _node_class(name, entry) for name, entry in info.items() if _is_class(entry)}
    return NodeCatalogue(id or id_of(essence(info)), classes)


def _is_class(entry: object) -> bool:
    return isinstance(entry, Mapping) and isinstance(entry.get("input"), Mapping)


def _node_class(name: str, entry: Mapping[str, Any]) -> NodeClass:
    outputs, module = entry.get("output"), entry.get("python_module")
    specs = input_specs(entry["input"])
    return NodeClass(
        name=name,
        inputs={
            each.name: replace(each, is_free=is_free(name, module, each.name)) for each in specs
        },
        outputs=tuple(outputs) if isinstance(outputs, list) else (),
        is_output=bool(entry.get("output_node")),
        is_core=is_core(module),
        compares_types=compares_types(name, module),
    )


def input_specs(groups: Mapping[str, Any]) -> Iterable[InputSpec]:
    """Yield the inputs that ``required`` and ``optional`` declare; odd entries are left out."""
    for group in ("required", "optional"):
        declared = groups.get(group)
        for name, config in declared.items() if isinstance(declared, Mapping) else ():
            if isinstance(config, list) and config:
                yield _input_spec(name, config, required=group == "required")


def _input_spec(name: str, config: list[Any], *, required: bool) -> InputSpec:
    kind = config[0]
    options = config[1] if len(config) > 1 and isinstance(config[1], Mapping) else {}
    listed = kind if isinstance(kind, list) else options.get("options")
    is_choice = isinstance(listed, list) and (isinstance(kind, list) or kind == "COMBO")
    is_open = not OPEN_CHOICES.isdisjoint(options) or "remote_combo" in options
    choices = tuple(listed) if is_choice and listed is not None and not is_open else None
    return InputSpec(name=name, type=kind, required=required, options=options, choices=choices)


def _without_prose(value: Any) -> Any:
    match value:
        case [list(), dict() as options, *_] if not OPEN_CHOICES.isdisjoint(options):
            return [[], _without_prose(options)]
        case dict():
            open_choice = not OPEN_CHOICES.isdisjoint(value)
            return {
                key: [] if open_choice and key == "options" else _without_prose(below)
                for key, below in value.items()
                if not _is_prose(key, below)
            }
        case list():
            return [_without_prose(below) for below in value]
        case _:
            return value


def _is_prose(key: str, value: Any) -> bool:
    """Return whether a class or an input says this to people; an input may be called so, too."""
    return key in PROSE_LISTS or (key in PROSE and not isinstance(value, list))
