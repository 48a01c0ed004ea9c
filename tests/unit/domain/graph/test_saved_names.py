"""Names of files in clients' own graphs: no job reaches into another's."""

from typing import Any

import pytest

from comfyq.domain.errors import InvalidGraph
from comfyq.domain.graph.saved_names import saved_name
from comfyq.domain.submission.admission import graph_check
from comfyq.domain.submission.request import Request

VICTIM = "0f5c8a1e-3f5b-4a52-9d0e-7c1f2b9a6d34"


def admit(value: Any, *, class_type: str = "LoadImage", name: str = "image") -> None:
    graph = {"1": {"class_type": class_type, "inputs": {name: value}}}
    request = Request(workflow="", values={}, graph=graph, overrides={})
    graph_check(request)(None)


@pytest.mark.parametrize(
    "name",
    [
        f"comfyq/{VICTIM}/1/victim_00001_.png [output]",
        f"comfyq/{VICTIM}/1-0123456789abcdef/a b.png",
        f"./x/..//comfyq/{VICTIM}/./1/a.png [output] ",
        f"..\\output\\ComfyQ\\{VICTIM}\\1\\a.png",
        f"/srv/ComfyUI/output/comfyq/{VICTIM}/1/a.png",
        f"comfyq/{VICTIM}",
        "comfyq/abcd/comfyq-0123456789abcdef0123456789abcdef.png",
        "comfyq-0123456789abcdef0123456789abcdef.png",
        "ComfyUI_temp_abcde_00001_.png [temp]",
        "../temp/ComfyUI_temp_abcde_00001_.png",
        "/var/lib/comfyui/temp/a.png",
        "C:\\ComfyUI\\TEMP",
        "temp/ComfyUI_temp_abcde_00001_.png",
        "comfyq [output]",
        "../output/comfyq",
        f"../output/comfyq/{VICTIM}",
        f"x\n/../comfyq/{VICTIM}/1/a.png",
        f"mine.png\nx/../comfyq/{VICTIM}/1/a.png\n../../..",
        "mine.png\r\nComfyUI_temp_abcde_00001_.png\n",
    ],
)
@pytest.mark.parametrize(
    ("class_type", "input_name"),
    [("LoadImage", "image"), ("PrimitiveString", "value"), ("AnyNode", "output_path")],
)
def test_a_file_of_a_job_cannot_be_named(name: str, class_type: str, input_name: str) -> None:
    for value in (name, [name, "x"], {"of": [name]}):
        with pytest.raises(InvalidGraph, match="file of a job") as raised:
            admit(value, class_type=class_type, name=input_name)
        assert raised.value.fields[0].field == f"graph.1.inputs.{input_name}"


@pytest.mark.parametrize(
    "value",
    [
        "example.png",
        "clipspace/clipspace-mask-1.png [input]",
        "mine/a.png [output]",
        "a poster for comfyq/acme, in blue",
        "the folder\ncomfyq/abc/1/",
        "/srv/comfyq/models/a.safetensors",
        "temp/a.png",
        "a diagram of\ncomfyq\nand its temp/ folder",
        7,
        ["2", 0],
    ],
)
def test_other_names_and_texts_are_left_alone(value: Any) -> None:
    graph = {
        "1": {"class_type": "AnyNode", "inputs": {"x": value, "filename_prefix": "comfyq/a/1/b"}},
        "2": {"class_type": "AnyNode", "inputs": {}},
    }
    graph_check(Request(workflow="", values={}, graph=graph, overrides={}))(None)


@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        ("a", "a"),
        ("x/y/a%width%", "a%width%"),
        (f"..\\comfyq\\{VICTIM}\\1\\victim", "victim"),
        ("a/", "output"),
        ("a/..", "output"),
        (".", "output"),
        ("", "output"),
        ("v1..final", "v1.final"),
        ("a/Hello...", "Hello"),
        (".hidden", ".hidden"),
        ("a" * 300, "a" * 200),
        ("a" + "é" * 130, "a" + "é" * 99),
        (["5", 0], "victim"),
        (["6", 0], "output"),
        (["7", 0], "output"),
    ],
)
def test_a_node_saves_in_its_own_folder_whatever_its_prefix(prefix: Any, name: str) -> None:
    graph = {
        "5": {"class_type": "PrimitiveString", "inputs": {"value": f"comfyq/{VICTIM}/1/victim"}},
        "6": {"class_type": "StringConcatenate", "inputs": {"string_a": "a", "string_b": "b"}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "a", "clip": ["8", 0]}},
    }
    assert saved_name(graph, prefix) == name
