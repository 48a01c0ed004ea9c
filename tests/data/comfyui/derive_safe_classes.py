"""Derives the node classes of the safe profile from what ComfyUIs answer to GET /object_info.

    curl -s http://127.0.0.1:8188/object_info > object_info.json
    python -m tests.data.comfyui.derive_safe_classes object_info.json … > TARGET

TARGET is lib/comfyq/domain/graph/safe_classes.py; classes of several versions are put together.

A class is safe if it is ComfyUI's own, and nothing of what it declares takes a file, a folder or a
program: but for files that a job brings itself, and prefixes, which a job replaces. What classes do
without declaring it was read in ComfyUI's source, and is listed here.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from comfyq.domain.graph.file_paths import names_medium, names_place
from comfyq.domain.graph.own_validators import is_core
from comfyq.domain.graph.saving_nodes import SILENT, is_replaced
from comfyq.domain.workflow.file_inputs import FILES
from tests.class_graphs import every_input

LINE_CHARS = 100
CALLS_OUT = "comfy_api_nodes."  # module of classes that send what they get to others' servers
UPLOADS = frozenset({"image_upload", "audio_upload", "video_upload", "file_upload"})
# Types of values that the editor makes, which name files that it has uploaded.
EDITED = frozenset({"AUDIO_RECORD", "COMPOSITOR", "LOAD_3D", "LOAD_3D_ANIMATION", "WEBCAM"})
PROGRAMS = frozenset({"expression", "fragment_shader", "regex_pattern"})  # names of inputs
INDICES = "latent_retain_index_list"
UNDECLARED: Mapping[str, str] = {
    "CheckpointLoader": "reads a configuration that says what to build",
    "LoadLatent": "reads a file of the input folder, and is none that a job can bring",
    "LossGraphNode": "goes with training",
    "StringFormat": "its pattern may reach into objects of Python",
    "TorchCompileModel": "runs a compiler",
    "TrainLoraNode": "reads earlier trainings from a folder, and runs for days",
}


def main(*files: str) -> None:
    """Print the module; each of ``files`` is a saved answer."""
    known: dict[str, Any] = {}
    for file in files:
        known |= json.loads(Path(file).read_text())
    print('"""The node classes of the safe profile, as `derive_safe_classes` makes them."""\n')
    print('NAMES = """')
    print("\n".join(packed(safe_classes(known))))
    print('"""\n')
    print('SAFE_CLASSES = frozenset(NAMES.replace("\\n", " ").strip().split(", "))')


def packed(names: Iterable[str]) -> Iterator[str]:
    """Fill lines with names, which may have spaces."""
    line = ""
    for name in sorted(names):
        if line and len(line) + len(name) + 3 > LINE_CHARS:
            yield f"{line},"
            line = ""
        line = f"{line}, {name}" if line else name
    yield line


def safe_classes(info: Mapping[str, Any]) -> Iterator[str]:
    """Yield the classes of an object_info that are safe."""
    return (name for name, entry in info.items() if why_unsafe(name, entry) is None)


def why_unsafe(name: str, entry: Mapping[str, Any]) -> str | None:
    """Return why a class is not safe; None if it is."""
    module = str(entry["python_module"])
    if not is_core(module):
        return "it is a custom node"
    if module.startswith(CALLS_OUT) or entry.get("api_node"):
        return "it calls a server"
    if name in SILENT:
        return "it saves models or datasets"
    inputs = every_input(entry["input"])
    return UNDECLARED.get(name) or next(
        filter(None, (_fault(name, *each) for each in inputs)), None
    )


def _fault(class_type: str, name: str, config: list[Any], _: bool) -> str | None:
    options = config[1] if len(config) > 1 and isinstance(config[1], Mapping) else {}
    kind, bare = config[0], name.rpartition(".")[2]
    if (class_type, name) in FILES or is_replaced(class_type, name):
        return None
    if not UPLOADS.isdisjoint(options) or "remote" in options or "image_folder" in options:
        return f"{name} takes a file"
    if isinstance(kind, str) and not EDITED.isdisjoint(kind.split(",")):
        return f"{name} names files"
    if bare in PROGRAMS:
        return f"{name} takes a program"
    is_text = isinstance(kind, str) and "STRING" in kind.split(",")
    if names_place(bare) or (is_text and names_medium(bare) and bare != INDICES):
        return f"{name} takes a file or folder" if is_text or _is_list(kind) else None
    return None


def _is_list(kind: Any) -> bool:
    return isinstance(kind, list) or kind == "COMBO"


if __name__ == "__main__":
    main(*sys.argv[1:])
