"""Derives a small catalogue with every shape of node class that a newer ComfyUI's has.

    curl -s http://127.0.0.1:8188/object_info > object_info.json
    python -m tests.data.comfyui.derive_shapes object_info.json SHAPES

SHAPES is tests/data/comfyui/0.33.0/shapes.json.

A class is kept if one of its inputs or outputs has a shape that no smaller class has: the type, the
options that say what is accepted, and the type of the input that it is within. Prose goes, long
lists are cut.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.data.comfyui.derive_catalogue import without_prose

KEPT_CLASSES = (  # whatever their shapes
    "BatchImagesNode",
    "CheckpointLoaderSimple",
    "ComfySwitchNode",
    "CustomCombo",
    "EmptyImage",
    "KSampler",
    "Load3D",
    "PreviewAny",
    "SaveImage",
    "SelectModelDevice",
)
KEPT_KEYS = ("input", "output", "output_node", "python_module", "name")
RANGE = frozenset({"min", "max", "step"})
LISTED = frozenset({"options", "multiselect", "remote", "template", "names", "prefix"})
UPLOADS = frozenset({"image_upload", "audio_upload", "video_upload", "file_upload"})
USES = frozenset({"image_folder", "lazy", "forceInput", "control_after_generate"})
SHAPING = RANGE | LISTED | UPLOADS | USES
VALUES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "*")
MOST_LISTED = 4


def main(object_info: str, target: str) -> None:
    """Write the classes into the file ``target``; ``object_info`` is the saved answer."""
    known = json.loads(Path(object_info).read_text())
    seen: set[str] = set()
    kept: dict[str, Any] = {}
    for name in sorted(
        known, key=lambda each: (each not in KEPT_CLASSES, size_of(known[each]), each)
    ):
        shapes = set(shapes_of_class(known[name]))
        if name in KEPT_CLASSES or not shapes <= seen:
            kept[name] = compact(known[name])
            seen |= shapes
    lines = [f"{json.dumps(name)}: {json.dumps(kept[name])}" for name in sorted(kept)]
    Path(target).write_text("{\n" + ",\n".join(lines) + "\n}\n")


def size_of(info: dict[str, Any]) -> int:
    return len(json.dumps(info["input"]))


def shapes_of_class(info: dict[str, Any]) -> Iterator[str]:
    yield from shapes_of_groups(info["input"], "")
    for declared in info["output"]:
        yield f"output {kind_of(declared)}"


def shapes_of_groups(groups: dict[str, Any], within: str) -> Iterator[str]:
    for group in ("required", "optional"):
        for config in groups.get(group, {}).values():
            yield from shapes_of_input(config, f"{within} {group}")


def shapes_of_input(config: list[Any], within: str) -> Iterator[str]:
    """The shape of one input, and those of the inputs within it."""
    kind, options = kind_of(config[0]), config[1] if len(config) > 1 else {}
    template = options.get("template", {})
    yield f"{within} {kind} {sorted(SHAPING & (options.keys() | template.keys()))}"
    yield from shapes_of_groups(template.get("input", {}), kind)
    for option in options["options"] if kind == "COMFY_DYNAMICCOMBO_V3" else ():
        yield from shapes_of_groups(option["inputs"], kind)


def kind_of(declared: Any) -> str:
    """A type's name where checks depend on it; all others are alike."""
    if isinstance(declared, list):
        return "list" if declared else "empty list"
    if declared in VALUES or declared.startswith("COMFY_"):
        return str(declared)
    return "union" if "," in declared else "object"


def compact(info: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = cut(without_prose({key: info[key] for key in KEPT_KEYS}))
    kept["input"].pop("hidden", None)
    return kept


def cut(value: Any) -> Any:
    """Shorten lists of choices, options and names, and keep whatever is a default."""
    if isinstance(value, dict):
        return {key: cut(each) for key, each in value.items()}
    if not isinstance(value, list):
        return value
    return [cut(each) for each in (value if is_config(value) else value[:MOST_LISTED])]


def is_config(value: list[Any]) -> bool:
    return len(value) == 2 and isinstance(value[1], dict)


if __name__ == "__main__":
    main(*sys.argv[1:])
