"""The name of a workflow that is made of an exported graph."""

import json
from pathlib import Path

import pytest

from comfyq.bootstrap.authoring import import_graph

GRAPH = {"9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "a"}}}
GRAPH["8"] = {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}}


@pytest.mark.parametrize(
    ("file", "name", "called"),
    [
        ("Night Owls/graph.json", None, "night-owls"),
        ("owls/workflow_api.json", None, "owls"),
        ("owls/Barn Owl.json", None, "barn-owl"),
        ("owls/graph.json", "foxes", "foxes"),
        ("owls/3f0f1234-8c1e-4b7a-9d53-0e6a7c1b2d3f.json", None, "owls"),
    ],
)
def test_a_file_that_is_called_as_every_export_is_is_named_after_its_folder(
    tmp_path: Path, file: str, name: str | None, called: str
) -> None:
    graph = tmp_path / file
    graph.parent.mkdir()
    graph.write_text(json.dumps(GRAPH))
    made = import_graph(graph, into=tmp_path / "into", name=name, catalogue=None)
    assert made.folder == tmp_path / "into" / called
