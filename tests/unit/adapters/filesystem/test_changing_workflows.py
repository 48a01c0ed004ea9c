"""Workflows that change while a server serves them."""

import shutil
from pathlib import Path

import pytest

from comfyq.adapters.filesystem.workflows import FolderWorkflows
from comfyq.domain.errors import WorkflowNotFound
from tests.paths import WORKFLOWS

Read = list[tuple[str, bool]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(WORKFLOWS / "sd15", tmp_path / "sd15")
    return tmp_path


@pytest.fixture
def read() -> Read:
    """Names of workflows that were read again, each with whether it is broken."""
    return []


@pytest.fixture
def workflows(folder: Path, read: Read) -> FolderWorkflows:
    return FolderWorkflows(
        folder, look_s=0, on_read=lambda name, fault: read.append((name, fault is not None))
    )


def test_a_new_workflow_is_served(folder: Path, workflows: FolderWorkflows, read: Read) -> None:
    with pytest.raises(WorkflowNotFound):
        workflows.get("sdxl")
    shutil.copytree(WORKFLOWS / "sdxl", folder / "sdxl")
    assert workflows.get("sdxl").name == "sdxl"
    assert set(workflows.names()) == {"sd15", "sdxl"}
    assert read == [("sdxl", False)]


def test_a_changed_one_is_read_again_and_the_others_are_not(
    folder: Path, workflows: FolderWorkflows
) -> None:
    shutil.copytree(WORKFLOWS / "sdxl", folder / "sdxl")
    other, manifest = workflows.get("sdxl"), folder / "sd15" / "manifest.toml"
    title = workflows.get("sd15").title
    manifest.write_text(manifest.read_text().replace(f'title = "{title}"', 'title = "Anew"', 1))
    assert workflows.get("sd15").title == "Anew"
    assert workflows.get("sdxl") is other


def test_one_that_breaks_is_told_until_it_is_mended(
    folder: Path, workflows: FolderWorkflows, read: Read
) -> None:
    graph = folder / "sd15" / "graph.json"
    whole = graph.read_text()
    graph.write_text("{")
    with pytest.raises(WorkflowNotFound, match=r"workflow sd15 is broken: graph\.json:1"):
        workflows.get("sd15")
    assert list(workflows.faults()) == ["sd15"]
    graph.write_text(whole)
    assert workflows.get("sd15").name == "sd15"
    assert workflows.faults() == {}
    assert read == [("sd15", True), ("sd15", False)]


def test_one_that_is_removed_is_gone(folder: Path, workflows: FolderWorkflows) -> None:
    shutil.rmtree(folder / "sd15")
    with pytest.raises(WorkflowNotFound, match="there is no such workflow"):
        workflows.get("sd15")


def test_files_are_looked_at_once_in_a_while(folder: Path) -> None:
    workflows = FolderWorkflows(folder, look_s=3600)
    shutil.copytree(WORKFLOWS / "sdxl", folder / "sdxl")
    assert workflows.names() == ("sd15",)
