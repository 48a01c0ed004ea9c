"""Reading of a ComfyUI's node catalogue."""

from typing import Any

from comfyq.domain.graph.node_catalogue import read_catalogue
from tests.catalogue_lab import INFO, info_with


def test_prose_and_uploaded_files_do_not_change_a_catalogue() -> None:
    info = {
        **INFO,
        "LoadImage": {
            **INFO["LoadImage"],
            "description": "other",
            "input": {"required": {"image": [["a.png"], {"image_upload": True}]}},
        },
    }
    assert read_catalogue(info).id == read_catalogue(INFO).id
    assert read_catalogue(info_with("LoraLoader", "lora_name", [])).id != read_catalogue(INFO).id


def test_what_custom_nodes_say_wrongly_is_left_out() -> None:
    odd: dict[str, Any] = {
        "A": None,
        "B": {"input": None},
        "C": {"input": {"required": {"x": [], "y": "INT", "z": [{"a": 1}], "u": ["COMBO", 3]}}},
        "D": {"input": {"required": []}, "output": 3},
    }
    catalogue = read_catalogue(odd)
    assert set(catalogue.classes) == {"C", "D"}
    assert set(catalogue.classes["C"].inputs) == {"z", "u"}
