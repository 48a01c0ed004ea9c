"""What output nodes show, under any name and in any form: collected, or named as lost."""

from collections.abc import Sequence
from typing import Any

import pytest

from comfyq.adapters.comfyui.tracking.history import read_results
from comfyq.adapters.comfyui.tracking.results import MAX_DEPTH
from comfyq.ports.engine import Ended, Rendered


def shown(output: Any) -> Ended:
    return read_results({"outputs": {"1": output}})


def texts(output: Any) -> Sequence[str | None]:
    ended = shown(output)
    assert not ended.lost
    return [each.text for each in ended.rendered]


def paths(output: Any) -> Sequence[str]:
    return [f"{each.folder}:{each.subfolder}/{each.filename}" for each in shown(output).rendered]


def saved(filename: str, **more: str) -> dict[str, str]:
    return {"filename": filename, "subfolder": "", "type": "output", **more}


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ({"text": "plain"}, ["plain"]),
        ({"text": list("plain")}, ["plain"]),
        ({"text": ["x"]}, ["x"]),
        ({"text": [["a", "b"], "c"]}, ["a", "b", "c"]),
        ({"text": [5, 1.5, True]}, ["5", "1.5", "true"]),
        ({"text": ["a.png"]}, ["a.png"]),
        ({"text": [{"a": "ü"}]}, ['{"a": "ü"}']),
        ({"string": ["abc"]}, ["abc"]),
        ({"tags": ["cat, dog"]}, ["cat, dog"]),
        ({"value": [7]}, ["7"]),
    ],
)
def test_texts_and_numbers(output: Any, found: Sequence[str]) -> None:
    assert texts(output) == found


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ({"result": ["mesh/m.glb", {"position": {"x": 1}}, None]}, ["output:mesh/m.glb"]),
        ({"model_file": "a.obj"}, ["output:/a.obj"]),
        ({"result": [r"3d\x y\m.gltf [output]"]}, ["output:3d/x y/m.gltf"]),
        ({"video": ["/srv/ComfyUI/output/vid/v.mp4"]}, ["output:vid/v.mp4"]),
        ({"video": [r"C:\ComfyUI\temp\v.mp4"]}, ["temp:/v.mp4"]),
        ({"3d": [saved("m2.glb", subfolder="mesh")]}, ["output:mesh/m2.glb"]),
        ({"files": [saved("noext"), saved("f.psd")]}, ["output:/noext", "output:/f.psd"]),
        ({"b": {"c": {"d": [saved("deep.png")]}}}, ["output:/deep.png"]),
        ({"images": saved("dd.png")}, ["output:/dd.png"]),
        ({"images": [None, saved("n.png")]}, ["output:/n.png"]),
    ],
)
def test_files(output: Any, found: Sequence[str]) -> None:
    assert paths(output) == found
    assert not shown(output).lost


def test_a_bare_path_may_lead_nowhere_and_that_is_known() -> None:
    [mesh] = shown({"result": ["mesh/m.glb"]}).rendered
    assert mesh == Rendered("1", "m.glb", "mesh", guessed=True)


def test_a_saved_mesh_counts_beside_previews() -> None:
    output = {"images": [saved("p.png", type="temp")], "result": ["m.glb"]}
    assert paths(output) == ["temp:/p.png", "output:/m.glb"]


def test_of_what_is_not_saved_only_pictures_are_mere_previews() -> None:
    output = {"gifs": [saved("t.mp4", type="temp")], "images": [saved("o.png")]}
    assert paths(output) == ["temp:/t.mp4", "output:/o.png"]
    output["a_images"] = [saved("p.png", type="temp")]
    assert paths(output) == ["temp:/t.mp4", "output:/o.png"]


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({"caption_of": ["a cat"]}, "node 1 shows `caption_of`"),
        ({"score": [0.5]}, "node 1 shows `score`"),
        ({"images": [{"source": "websocket", "type": "output"}]}, "node 1 shows `images`"),
        ({"result": ["../../etc/passwd.txt"]}, "node 1 shows `result`"),
        ({"result": ["/etc/x.txt"]}, "node 1 shows `result`"),
        ({"result": ["https://h/a.glb"]}, "node 1 shows `result`"),
        ({"images": [saved("x.png", type="custom")]}, "names x.png in a folder custom"),
        ({"images": [{"filename": "", "subfolder": "x"}]}, "node 1 shows `images`"),
    ],
)
def test_what_is_lost_is_named(output: Any, said: str) -> None:
    ended = shown(output)
    assert not ended.rendered
    [warning] = ended.lost
    assert said in warning


@pytest.mark.parametrize(
    "output", [{}, {"images": []}, {"animated": [True]}, {"a": None, "b": [[""]]}, "text", [1]]
)
def test_nothing_shown_is_nothing_lost(output: Any) -> None:
    assert shown(output) == Ended([], [])


def test_what_is_nested_too_deeply_is_named() -> None:
    deep: Any = [saved("a.png")]
    for _ in range(MAX_DEPTH + 1):
        deep = [deep]
    assert shown({"images": deep}).lost == [
        "node 1 shows `images`, of which nothing can be collected"
    ]
