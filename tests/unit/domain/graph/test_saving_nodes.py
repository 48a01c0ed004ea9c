"""Nodes that save: each kind in its job's folder; those that report no file are named."""

from typing import Any

import pytest

from comfyq.domain.graph.saving_nodes import MAX_SILENT, saving_in, silent_savers

FOLDER = "comfyq/job/1-ab"


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


@pytest.mark.parametrize(
    ("saver", "set_to"),
    [
        (node("SaveImage", filename_prefix="x/a"), {"filename_prefix": f"{FOLDER}/a"}),
        (node("Custom", filename_prefix="x/a"), {"filename_prefix": f"{FOLDER}/a"}),
        (node("SaveLoRA", prefix="loras/a", steps=3), {"prefix": f"{FOLDER}/a", "steps": 3}),
        (node("AddTextPrefix", prefix="x/a"), {"prefix": "x/a"}),
        (
            node("SaveImageDataSetToFolder", folder_name="x/set", filename_prefix="y/a"),
            {"folder_name": f"{FOLDER}/set", "filename_prefix": "a"},
        ),
        (
            node("SaveImageTextDataSetToFolder", folder_name=["t", 0], filename_prefix=["t", 0]),
            {"folder_name": f"{FOLDER}/output", "filename_prefix": "output"},
        ),
        (node("SaveTrainingDataset", folder_name="set"), {"folder_name": f"{FOLDER}/set"}),
        (node("LoadTrainingDataset", folder_name="set"), {"folder_name": "set"}),
    ],
)
def test_each_kind_of_saver_saves_below_the_jobs_folder(
    saver: dict[str, Any], set_to: dict[str, Any]
) -> None:
    graph = {"s": saver, "t": node("StringConcatenate", string_a="a", string_b="b")}
    before = {**saver["inputs"]}
    assert saving_in(FOLDER, "s", graph) == set_to
    assert saver["inputs"] == before, "the graph itself stays"


def test_savers_that_tell_of_no_file_are_named_with_a_limit() -> None:
    graph = {
        "1": node("SaveImage", filename_prefix="a"),
        "2": node("CheckpointSave", filename_prefix="a"),
        "3": node("SaveImageDataSetToFolder", folder_name="a"),
    }
    [warning] = silent_savers(graph, {"2"})
    assert "node 3 (SaveImageDataSetToFolder)" in warning
    many = {str(number): node("SaveLoRA") for number in range(MAX_SILENT + 5)}
    assert len(list(silent_savers(many, ()))) == MAX_SILENT
