"""Files and folders that a client's own graph names: below ComfyUI's folders, or refused."""

from typing import Any

import pytest

from comfyq.domain.errors import InvalidGraph
from comfyq.domain.graph.file_paths import outside_paths
from comfyq.domain.graph.validation import MAX_ERRORS
from comfyq.domain.submission.admission import graph_check
from comfyq.domain.submission.request import Request

OUTSIDE = [
    ("LoadImage", "image", "/abs/path.png"),
    ("LoadImage", "image", " /proc/self/cwd/input/example.png"),
    ("LoadImage", "image", "../../etc/hostname [input]"),
    ("LoadImageMask", "image", "C:\\a.png"),
    ("LoadImageMask", "image", "sub\\..\\..\\a.png"),
    ("LoadAudio", "audio", "~/a.wav"),
    ("LoadTrainingDataset", "folder_name", "/tmp/x"),
    ("SaveImageDataSetToFolder", "folder_name", "../../x"),
    ("Anything", "output_dir", "\\\\server\\share"),
    ("Anything", "image_path", "/data/a.png"),
    ("LoadImage", "image", "/x\n/../etc/a.png"),
    ("LoadImage", "image", "/a/.." * 1_000 + "/etc/a.png"),
    ("Anything", "prompt_file", "/etc/prompts"),
    ("Anything", "files", ["a.png", "/etc/passwd"]),
    ("Anything", "filepath", "/etc/passwd"),
    ("Anything", "outputDir", "../../x"),
    ("Anything", "subfolder", "../../x"),
]
INSIDE = [
    ("LoadImage", "image", "a..b.png"),
    ("LoadImage", "image", "sub folder/ä.png [output]"),
    ("LoadTrainingDataset", "folder_name", "set 1"),
    ("CLIPTextEncode", "text", "/imagine a cat .. on a mat"),
    ("CLIPTextEncode", "text", "../x"),
    ("Anything", "image_description", "/imagine\na cat"),
    ("SaveImage", "filename_prefix", "../../x"),
    ("LoadImage", "image", "C: a.png"),
    ("Anything", "profile", "/fast"),
    ("Anything", "imageDescription", "/imagine a cat"),
]


def graph_of(class_type: str, name: str, value: Any) -> dict[str, Any]:
    return {"1": {"class_type": class_type, "inputs": {name: value}}}


@pytest.mark.parametrize(("class_type", "name", "value"), OUTSIDE)
def test_a_path_out_of_comfyuis_folders_is_refused(class_type: str, name: str, value: Any) -> None:
    with pytest.raises(InvalidGraph) as refused:
        graph_check(Request(workflow="", values={}, graph=graph_of(class_type, name, value)))(None)
    [field] = refused.value.fields
    assert (field.field, "no absolute path" in field.message) == (f"graph.1.inputs.{name}", True)


@pytest.mark.parametrize(("class_type", "name", "value"), INSIDE)
def test_other_names_and_texts_stay(class_type: str, name: str, value: Any) -> None:
    assert list(outside_paths(graph_of(class_type, name, value), None)) == []


def test_no_more_paths_are_listed_than_other_errors() -> None:
    one = {"class_type": "LoadImage", "inputs": {"image": "/a.png"}}
    graph = {str(number): one for number in range(MAX_ERRORS * 2)}
    with pytest.raises(InvalidGraph) as refused:
        graph_check(Request(workflow="", values={}, graph=graph))(None)
    assert len(refused.value.fields) == MAX_ERRORS
