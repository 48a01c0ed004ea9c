"""Files and folders whose names reach an input by a link: known beforehand, or refused."""

from typing import Any

import pytest

from comfyq.domain.graph.file_paths import outside_paths
from comfyq.domain.graph.node_catalogue import NodeCatalogue, read_catalogue


def declared(output: Any, **inputs: list[Any]) -> dict[str, Any]:
    return {"input": {"required": inputs}, "output": [output]}


TEXT: list[Any] = ["STRING", {}]
CATALOGUE = read_catalogue(
    {
        "PrimitiveString": declared("STRING", value=TEXT),
        "PrimitiveStringMultiline": declared("STRING", value=TEXT),
        "StringConcatenate": declared("STRING", string_a=TEXT, string_b=TEXT, delimiter=TEXT),
        "StringTrim": declared("STRING", string=TEXT, mode=[["Both", "Left", "Right"]]),
        "CaseConverter": declared("STRING", string=TEXT, mode=[["lowercase"]]),
        "StringReplace": declared("STRING", string=TEXT, find=TEXT, replace=TEXT),
        "ComfySwitchNode": declared("COMFY_MATCHTYPE_V3", on_true=["COMFY_MATCHTYPE_V3"]),
        "PrimitiveBoolean": declared("BOOLEAN", value=["BOOLEAN", {}]),
        "Not": declared("BOOLEAN", value=["BOOLEAN", {}]),
        "EmptyImage": declared("IMAGE"),
        "MakeMesh": declared("FILE_3D_GLB"),
        "Anything": declared("*") | {"python_module": "custom_nodes.any"},
        "OwnType": declared("MY_PATH") | {"python_module": "custom_nodes.own"},
        "LoadTrainingDataset": declared("LATENT", folder_name=TEXT),
        "LoadImage": declared("IMAGE", image=[["a.png"], {"image_upload": True}]),
        "LoadPicture": declared("IMAGE", image=TEXT) | {"python_module": "custom_nodes.load"},
        "SaveImage": declared("IMAGE", images=["IMAGE"], filename_prefix=TEXT),
        "SaveImageDataSetToFolder": declared("IMAGE", images=["IMAGE"], folder_name=TEXT),
        "Preview3D": declared("IMAGE", model_file=["STRING,FILE_3D_GLB"]),
        "ReadMesh": declared("IMAGE", model_file=["STRING,FILE_3D_GLB"]),
        "VideoExtend": declared("VIDEO", video_id=TEXT),
        "Grown": declared("IMAGE", files=["MY_FILES"]),
    }
)


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


TEXTS: dict[str, Any] = {
    "up": node("PrimitiveString", value=".."),
    "name": node("PrimitiveStringMultiline", value="set 1"),
    "dot": node("StringConcatenate", string_a=".", string_b=".", delimiter=""),
    "outside": node("StringConcatenate", string_a=["dot", 0], string_b="x", delimiter="/"),
    "inside": node("StringConcatenate", string_a="a", string_b=["name", 0], delimiter="/"),
    "trimmed": node("StringTrim", string=" ../x", mode="Left"),
    "cased": node("CaseConverter", string="SET", mode="lowercase"),
    "cased oddly": node("CaseConverter", string="SET", mode=["name", 0]),
    "on": node("ComfySwitchNode", switch=True, on_true=["up", 0], on_false=["name", 0]),
    "off": node("ComfySwitchNode", switch=False, on_true=["up", 0], on_false=["name", 0]),
    "true": node("PrimitiveBoolean", value=True),
    "on by link": node("ComfySwitchNode", switch=["true", 0], on_true=["up", 0], on_false="a"),
    "turned": node("Not", value=True),
    "may be on": node("ComfySwitchNode", switch=["turned", 0], on_true="a", on_false=["up", 0]),
    "told to be on": node("ComfySwitchNode", switch="false", on_true="a", on_false=["up", 0]),
    "numbered": node("StringConcatenate", string_a="set", string_b=7, delimiter=" "),
    "open": node("ComfySwitchNode", switch=["any", 0], on_true=["up", 0], on_false=["name", 0]),
    "replaced": node("StringReplace", string="aa", find="a", replace="."),
    "joined": node("StringConcatenate", string_a=["replaced", 0], string_b="x", delimiter=""),
    "circle": node("StringConcatenate", string_a=["circle", 0], string_b="x", delimiter=""),
    "long": node("StringConcatenate", string_a="x" * 3_000, string_b="y" * 3_000, delimiter=""),
    "any": node("Anything"),
    "own": node("OwnType"),
    "mesh": node("MakeMesh"),
    "meshes": node("ComfySwitchNode", switch=True, on_true=["mesh", 0], on_false=["name", 0]),
    "picture": node("EmptyImage"),
    "absolute": node("PrimitiveString", value="/etc/passwd"),
}
OUTSIDE = ["up", "dot", "outside", "trimmed", "on", "on by link"]
INSIDE = ["name", "inside", "cased", "off", "numbered"]
TEXTS["jobs"] = node("StringConcatenate", string_a="comfy", string_b="q/a/1", delimiter="")
COMPUTED = ["cased oddly", "open", "replaced", "joined", "circle", "long", "any", "own"]
COMPUTED += ["may be on", "told to be on"]


def kinds(user: dict[str, Any], catalogue: NodeCatalogue | None = CATALOGUE) -> list[str]:
    return [each.kind for each in outside_paths(TEXTS | {"user": user}, catalogue)]


@pytest.mark.parametrize("catalogue", [CATALOGUE, None])
@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (OUTSIDE, ["outside_path"]),
        (INSIDE, []),
        (COMPUTED, ["unknown_path"]),
        (["jobs"], ["foreign_file"]),
    ],
)
def test_a_linked_folder_is_worked_out_or_refused(
    sources: list[str], said: list[str], catalogue: NodeCatalogue | None
) -> None:
    for source in sources:
        user = node("LoadTrainingDataset", folder_name=[source, 0])
        assert kinds(user, catalogue) == said, source


@pytest.mark.parametrize(
    ("user", "said"),
    [
        (node("LoadImage", image=["absolute", 0]), ["outside_path"]),
        (node("LoadImage", image=["any", 0]), ["unknown_path"]),
        (node("LoadPicture", image=["replaced", 0]), ["unknown_path"]),
        (node("LoadPicture", image=["picture", 0]), []),  # which ComfyUI refuses by its type
        (node("SaveImage", images=["any", 0], filename_prefix=["outside", 0]), []),
        (node("SaveImageDataSetToFolder", folder_name=["outside", 0]), ["outside_path"]),
        (node("SaveImageDataSetToFolder", folder_name=["replaced", 0]), []),  # it is replaced
        (node("Preview3D", model_file=["mesh", 0]), []),
        (node("Preview3D", model_file=["meshes", 0]), []),
        (node("Preview3D", model_file=["replaced", 0]), []),  # which only shows it
        (node("Preview3D", model_file=["absolute", 0]), ["outside_path"]),
        (node("ReadMesh", model_file=["mesh", 0]), []),
        (node("ReadMesh", model_file=["meshes", 0]), []),
        (node("ReadMesh", model_file=["replaced", 0]), ["unknown_path"]),
        (node("VideoExtend", video_id=["replaced", 0]), []),
        (node("Grown", files=["any", 0]), []),
    ],
)
def test_only_texts_that_may_be_paths_are_judged(user: dict[str, Any], said: list[str]) -> None:
    assert kinds(user) == said


def test_inputs_that_grow_are_judged_by_their_own_names() -> None:
    assert kinds(node("Unknown", **{"files.audio0": ["any", 0]}), None) == []
    assert kinds(node("Unknown", **{"group.path1": ["any", 0]}), None) == ["unknown_path"]
    assert kinds(node("Unknown", **{"group.path1": "/etc"}), None) == ["outside_path"]


def test_the_refusal_names_the_node_and_the_remedy() -> None:
    user = node("LoadTrainingDataset", folder_name=["joined", 0])
    [error] = outside_paths(TEXTS | {"user": user}, CATALOGUE)
    assert (error.node, error.input) == ("user", "folder_name")
    assert "node joined computes it" in error.details
    assert "write the path into `folder_name` itself" in error.details


def test_a_text_that_doubles_with_each_node_is_not_made() -> None:
    graph: dict[str, Any] = {"0": node("PrimitiveString", value="x" * 100)}
    for number in range(1, 40):
        twice = [str(number - 1), 0]
        graph[str(number)] = node("StringConcatenate", string_a=twice, string_b=twice)
    graph["user"] = node("LoadTrainingDataset", folder_name=["39", 0])
    assert [each.kind for each in outside_paths(graph, CATALOGUE)] == ["unknown_path"]
