"""Every shipped workflow binds into a graph that ComfyUI's catalogue accepts."""

from typing import Any

import pytest

from comfyq.adapters.filesystem.workflows import FolderWorkflows
from comfyq.domain.files.inputs import PLACEHOLDER
from comfyq.domain.graph.validation import validate
from comfyq.domain.workflow.workflow import Workflow
from tests.catalogue_lab import CATALOGUE
from tests.paths import WORKFLOWS

SHIPPED = FolderWorkflows(WORKFLOWS)
NAMES = (
    "flux-dev",
    "flux-hires",
    "flux-schnell",
    "sd15",
    "sd15-img2img",
    "sd15-inpaint",
    "sdxl",
    "stable-audio",
    "upscale-4x",
    "wan22-i2v",
    "wan22-t2v",
)


def bound(workflow: Workflow, **values: Any) -> dict[str, Any]:
    on = workflow.on(CATALOGUE)
    resolved = on.resolve({**workflow.sample, **values}, draw_seed=lambda: 7)
    return on.bind(resolved.parameters)


def test_these_are_shipped() -> None:
    assert tuple(sorted(SHIPPED.names())) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_its_sample_is_a_graph_that_runs(name: str) -> None:
    verdict = validate(bound(SHIPPED.get(name)), CATALOGUE)
    assert verdict.valid, verdict.errors
    assert not verdict.completed


@pytest.mark.parametrize("name", NAMES)
def test_its_presets_run(name: str) -> None:
    workflow = SHIPPED.get(name)
    if name != "upscale-4x":  # nothing of it can be better or worse
        assert set(workflow.presets) == {"draft", "balanced", "high-quality"}
    for preset in workflow.presets:
        assert validate(bound(workflow, preset=preset), CATALOGUE).valid


@pytest.mark.parametrize("name", NAMES)
def test_every_model_it_loads_is_told_with_its_source(name: str) -> None:
    workflow = SHIPPED.get(name)
    declared = {model.file for model in workflow.models}
    values = (value for body in workflow.graph.values() for value in body["inputs"].values())
    files = {v for v in values if isinstance(v, str) and v.endswith((".safetensors", ".pth"))}
    assert files <= declared
    assert all(model.url.startswith("https://") for model in workflow.models)


@pytest.mark.parametrize("name", NAMES)
def test_its_outputs_are_those_of_the_catalogue(name: str) -> None:
    workflow = SHIPPED.get(name)
    classes = CATALOGUE.classes
    ends = {node for node, b in workflow.graph.items() if classes[b["class_type"]].is_output}
    assert set(workflow.outputs) == ends


@pytest.mark.parametrize("name", NAMES)
def test_people_are_told_what_everything_means(name: str) -> None:
    workflow = SHIPPED.get(name)
    for parameter in workflow.parameters.values():
        assert parameter.title, parameter.name
        assert parameter.help, parameter.name
        assert parameter.group, parameter.name


@pytest.mark.parametrize("name", ["sd15-inpaint", "wan22-i2v", "upscale-4x"])
def test_pictures_are_left_to_the_worker(name: str) -> None:
    workflow = SHIPPED.get(name)
    resolved = workflow.resolve(workflow.sample, draw_seed=lambda: 7)
    graph = workflow.bind(resolved.parameters)
    files = workflow.inputs(resolved.parameters)
    assert files
    for file in files:
        assert graph[file.node]["inputs"][file.input] == f"{PLACEHOLDER}{file.parameter}"
        assert file.source == workflow.sample[file.parameter]
        assert file.source.startswith("data:image/png;base64,")


def test_a_picture_may_say_how_it_is_brought_to_size() -> None:
    workflow = SHIPPED.get("sd15-img2img")
    values = {"prompt": "x", "image": {"source": "https://a/b.png", "fit": "contain"}, "width": 64}
    resolved = workflow.resolve(values, draw_seed=lambda: 7)
    [file] = workflow.inputs(resolved.parameters)
    assert (file.source, file.fit, file.width, file.height) == (
        "https://a/b.png",
        "contain",
        64,
        512,
    )
