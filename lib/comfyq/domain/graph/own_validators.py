"""Inputs that a node class validates by itself, which frees them from ComfyUI's usual checks.

``VALIDATE_INPUTS`` (``validate_inputs`` of the newer schema) frees the inputs that it names, or all
by ``**kwargs``, from list and range; by naming ``input_types``, from comparing types. The catalogue
shows none of that: ComfyUI's own classes are listed here, and any other class may have one.
See https://docs.comfy.org/custom-nodes/backend/server_overview#validate-inputs
"""

from collections.abc import Mapping

CORE_MODULES = ("nodes", "comfy_extras.", "comfy_api_nodes.")  # of ``python_module``
TYPES = "input_types"

ALL: frozenset[str] = frozenset({"*"})  # every input

OWN_VALIDATORS: Mapping[str, frozenset[str]] = {
    "CustomCombo": ALL,
    "FluxProUltraImageNode": frozenset({"aspect_ratio"}),
    "KlingCameraControls": frozenset(
        {"horizontal_movement", "vertical_movement", "pan", "tilt", "roll", "zoom"}
    ),
    "Load3D": ALL,
    "Load3DAdvanced": ALL,
    "Load3DAnimation": ALL,
    "LoadAudio": frozenset({"audio"}),
    "LoadImage": frozenset({"image"}),
    "LoadImageMask": frozenset({"image"}),
    "LoadImageOutput": frozenset({"image"}),
    "LoadLatent": frozenset({"latent"}),
    "LoadVideo": frozenset({"file"}),
    "ModelAttentionBackend": frozenset({"attention"}),
    "SelectCLIPDevice": frozenset({"device"}),
    "SelectModelDevice": frozenset({"device"}),
    "SelectVAEDevice": frozenset({"device"}),
    "TripoConversionNode": frozenset({TYPES}),
    "WebcamCapture": frozenset({"image"}),
}


def is_core(module: object) -> bool:
    """Return whether a class of this ``python_module`` is part of ComfyUI; unnamed ones count."""
    return not isinstance(module, str) or module == "nodes" or module.startswith(CORE_MODULES[1:])


def is_free(class_type: str, module: object, name: str) -> bool:
    """Return whether list and range of an input may be decided by its class alone."""
    if not is_core(module):
        return True
    named = OWN_VALIDATORS.get(class_type, frozenset())
    return named is ALL or name in named


def compares_types(class_type: str, module: object) -> bool:
    """Return whether ComfyUI surely compares the types of links into this class."""
    return is_core(module) and TYPES not in OWN_VALIDATORS.get(class_type, frozenset())
