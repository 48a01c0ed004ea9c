"""Loaders of clients' own graphs take files, whatever their class."""

from typing import Any

import pytest

from comfyq.domain.files.inputs import PLACEHOLDER
from comfyq.domain.files.media_types import suffix_of
from comfyq.domain.files.sources import normalized
from comfyq.domain.graph.node_catalogue import NodeCatalogue, read_catalogue
from comfyq.domain.workflow.raw_graph import take_files

SOURCES = ("https://example.com/a", "data:image/png;base64,aa", "asset:as_1")


def loader(flag: str, *, newer: int) -> dict[str, Any]:
    declared = ["COMBO", {"options": ["a"], flag: True}] if newer else [["a"], {flag: True}]
    return {
        "input": {"required": {"what": declared, "text": ["STRING"]}},
        "output": [],
        "python_module": "custom_nodes.odd",
    }


@pytest.fixture
def catalogue() -> NodeCatalogue:
    flags = ("image_upload", "video_upload", "audio_upload", "no_such")
    entries = {f"{flag} {newer}": loader(flag, newer=newer) for flag in flags for newer in (0, 1)}
    inner = loader("image_upload", newer=True)["input"]
    dynamic = ["COMFY_DYNAMICCOMBO_V3", {"options": [{"key": "k", "inputs": inner}]}]
    return read_catalogue(entries | {"D": {"input": {"required": {"mode": dynamic}}}})


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("newer", [0, 1])
@pytest.mark.parametrize("kind", ["image", "video", "audio"])
def test_flagged_inputs_take_sources(
    catalogue: NodeCatalogue, kind: str, newer: int, source: str
) -> None:
    inputs = {"what": source, "text": source}
    graph = {"1": {"class_type": f"{kind}_upload {newer}", "inputs": inputs}}
    [file] = take_files(graph, catalogue)
    assert (file.kind, file.input, file.source) == (kind, "what", normalized(source))
    assert inputs == {"what": f"{PLACEHOLDER}0", "text": source}


def test_inputs_within_a_chosen_option_take_sources_too(catalogue: NodeCatalogue) -> None:
    inputs = {"mode": "k", "mode.what": SOURCES[0]}
    [file] = take_files({"1": {"class_type": "D", "inputs": inputs}}, catalogue)
    assert (file.input, file.kind) == ("mode.what", "image")


def test_other_texts_are_texts(catalogue: NodeCatalogue) -> None:
    graph: dict[str, Any] = {
        "1": {"class_type": "no_such 0", "inputs": {"what": SOURCES[0]}},
        "2": {"class_type": "image_upload 0", "inputs": {"what": "a.png"}},
        "3": {"class_type": "Unknown", "inputs": {"image": SOURCES[1]}},
        "4": {"class_type": "LoadImage", "inputs": {"image": SOURCES[2]}},
    }
    assert [file.node for file in take_files(graph, catalogue)] == ["4"]
    graph["4"]["inputs"]["image"] = SOURCES[2]
    assert [file.node for file in take_files(graph, None)] == ["4"]


@pytest.mark.parametrize(
    ("head", "suffix"),
    [
        (b"glTF\2\0\0\0", ".glb"),
        (b'{"asset": {}}', ".gltf"),
        (b"Kaydara FBX Binary  \0", ".fbx"),
        (b"ply\nformat ascii", ".ply"),
        (b"solid cube", ".stl"),
        (b"# Blender", ".obj"),
        (b"v 0 0 1", ".obj"),
        (b"\x89PNG\r\n\x1a\n", None),
        (b"<html>", None),
    ],
)
def test_models_are_known_by_their_first_bytes(head: bytes, suffix: str | None) -> None:
    assert suffix_of("model_3d", head) == suffix
