"""A draft of a workflow is written whole or not at all, and passes its own check."""

import json
from pathlib import Path
from typing import Any

import pytest

from comfyq.adapters.filesystem.drafts import write_draft
from comfyq.adapters.filesystem.workflows import load_workflow
from comfyq.domain.errors import InvalidWorkflow
from comfyq.domain.workflow.importer import propose

PLAIN = {
    "1": {"class_type": "EmptyImage", "inputs": {"color": 3}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
}


def write(folder: Path, graph: dict[str, Any], *, text: str | None = None) -> None:
    write_draft(folder, propose(graph, title="t"), text or json.dumps(graph))


def prompted(text: str) -> dict[str, Any]:
    encode = {"class_type": "CLIPTextEncode", "inputs": {"text": text, "clip": ["2", 0]}}
    return PLAIN | {"2": {"class_type": "CLIPLoader", "inputs": {}}, "3": encode}


def test_a_graph_without_parameters_is_a_workflow(tmp_path: Path) -> None:
    write(tmp_path / "plain", PLAIN)
    assert load_workflow(tmp_path / "plain").parameters == {}
    manifest = (tmp_path / "plain" / "manifest.toml").read_text()
    assert "# no prompt was found" in manifest


def test_odd_texts_are_read_back_as_they_are(tmp_path: Path) -> None:
    text = 'a "fox"\n\\ \x7f \t # ¨ 🦊'
    write(tmp_path / "odd", prompted(text))
    assert load_workflow(tmp_path / "odd").sample["prompt"] == text


@pytest.mark.parametrize(
    ("name", "graph", "text"),
    [
        ("surrogate", prompted("a \ud83d fox"), None),
        ("graph", PLAIN, '{"\ud83d": 1}'),
        ("Not A Name", PLAIN, None),
        ("no-graph", PLAIN, "[]"),
        ("nul", prompted("a \0 fox"), None),
    ],
)
def test_what_cannot_be_a_workflow_leaves_nothing(
    tmp_path: Path, name: str, graph: dict[str, Any], text: str | None
) -> None:
    with pytest.raises(InvalidWorkflow):
        write(tmp_path / name, graph, text=text)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(FileExistsError):
        write(tmp_path / "mine", PLAIN)
    assert list((tmp_path / "mine").iterdir()) == []
