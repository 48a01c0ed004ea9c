"""ComfyUI's official templates, which are editor files, are converted to graphs that it would run.

They are read from an environment of their own (`make templates`); nothing of them is kept here.
"""

import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import pytest

from comfyq.domain.graph.documents.document import read_document
from comfyq.domain.graph.documents.envelope import is_editor_file
from comfyq.domain.graph.editor.conversion import NO_CLASS, convert
from comfyq.domain.graph.editor.document import read_editor_file
from comfyq.domain.graph.errors import NOT_IN_LIST, GraphError
from comfyq.domain.graph.file_paths import outside_paths
from comfyq.domain.graph.model_names import EXTENSIONS
from comfyq.domain.graph.node_catalogue import NodeCatalogue, read_catalogue
from comfyq.domain.graph.validation import validate
from tests.paths import ROOT

URL = os.getenv("COMFYQ_TEST_COMFYUI_URL", "")
ENVIRONMENT = ROOT / ".templates"
DRAWN = {"Load3D", "RecordAudio"}  # what they make is made in the editor when it submits
NEWEST = "comfyui_workflow_templates_json"

pytestmark = [
    pytest.mark.comfyui,
    pytest.mark.skipif(not URL, reason="COMFYQ_TEST_COMFYUI_URL names no ComfyUI; `make comfyui`"),
    pytest.mark.skipif(not ENVIRONMENT.is_dir(), reason="no templates; `make templates`"),
]

# What the newest templates choose and ComfyUI 0.3.75 does not offer yet.
NEWER_CHOICES = {
    ("CLIPLoader", "type", "ovis"),
    ("DualCLIPLoader", "type", "kandinsky5_image"),
    ("DualCLIPLoader", "type", "newbie"),
    (
        "FluxKontextMultiReferenceLatentMethod",
        "reference_latents_method",
        "index_timestep_zero",
    ),
}


@pytest.fixture(scope="module")
def catalogue() -> NodeCatalogue:
    with urlopen(f"{URL}/object_info") as answer:
        return read_catalogue(json.load(answer))


def templates(*, newest: bool) -> Iterator[tuple[str, Any]]:
    packages = ENVIRONMENT.glob("lib/python*/site-packages/comfyui_workflow_templates*")
    for package in sorted(each for each in packages if each.is_dir()):
        if (package.name == NEWEST) is newest:
            for file in sorted(package.glob("templates/*.json")):
                content = json.loads(file.read_text(encoding="utf-8"))
                if is_editor_file(content):
                    yield file.stem, content


def is_missing_model(error: GraphError) -> bool:
    value = str(error.extra.get("received_value"))
    return error.kind == NOT_IN_LIST and value.lower().endswith(EXTENSIONS)


def errors_of(file: Any, catalogue: NodeCatalogue) -> list[GraphError] | None:
    """Return what is wrong with a converted template; None if a class or a drawing is missing."""
    obstacles = convert(read_editor_file(file), catalogue).obstacles
    if obstacles:
        drawn = {each.class_type for each in obstacles if each.reason != NO_CLASS}
        assert drawn <= DRAWN
        return None
    graph = read_document(file).graph(catalogue)
    assert not list(outside_paths(graph, catalogue))
    verdict = validate(graph, catalogue)
    assert not verdict.no_outputs
    return [error for error in verdict.errors if not is_missing_model(error)]


@pytest.mark.parametrize(("newest", "least"), [(False, 100), (True, 85)])
def test_every_template_whose_nodes_there_are_would_run(
    catalogue: NodeCatalogue, newest: bool, least: int
) -> None:
    wrong, converted = [], 0
    for name, file in templates(newest=newest):
        errors = errors_of(file, catalogue)
        if errors is None:
            continue
        converted += 1
        for error in errors:
            choice = (error.class_type, error.input, error.extra.get("received_value"))
            if not (newest and choice in NEWER_CHOICES):
                wrong.append(f"{name}: {error.readable()}")
    assert not wrong
    assert converted >= least
