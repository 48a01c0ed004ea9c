"""A class of nodes that no worker has is named with what would bring it."""

import shutil
from pathlib import Path

import pytest

from comfyq.adapters.filesystem.workflows import FolderWorkflows
from comfyq.services.jobs.admission import Admission
from comfyq.services.workflows.library import WorkflowLibrary
from tests.api_lab import ApiLab
from tests.catalogue_lab import info_with, join
from tests.paths import WORKFLOWS

pytestmark = pytest.mark.anyio

OWNER, OTHER, COMMIT = "https://example.org/owner/nodes", "https://example.org/other", "a" * 40


@pytest.mark.parametrize(
    ("classes", "named"),
    [('\nclasses = ["FluxGuidance"]', [OWNER]), ('\nclasses = ["Other"]', [OTHER]), ("", None)],
)
async def test_it_comes_with_a_repository_at_a_commit(
    tmp_path: Path, classes: str, named: list[str] | None
) -> None:
    folder = tmp_path / "workflows/flux-dev"
    shutil.copytree(WORKFLOWS / "flux-dev", folder)
    with (folder / "manifest.toml").open("a") as manifest:
        manifest.write(f'[[nodes]]\nrepository = "{OWNER}"\ncommit = "{COMMIT}"{classes}\n')
        manifest.write(f'[[nodes]]\nrepository = "{OTHER}"\ncommit = "{COMMIT}"\n')
    lab = ApiLab()
    services, workflows = lab.services, FolderWorkflows(folder.parent, look_s=0)
    services.library = WorkflowLibrary(workflows=workflows, catalogues=services.catalogues)
    services.admission = Admission(
        workflows=workflows, catalogues=services.catalogues, draw_seed=lambda: 1
    )
    services.preparation._admission = services.admission
    info = info_with("UNETLoader", "unet_name", ["flux1-dev.safetensors"])
    del info["FluxGuidance"]
    await join(lab, tmp_path / "a", info)
    refused = lab.client.post("/generate", json={"workflow": "flux-dev", "prompt": "a fox"})
    assert refused.status_code == 422
    [told] = [e["message"] for e in refused.json()["errors"] if "FluxGuidance" in e["message"]]
    sources = " or ".join(f"{each} at {COMMIT}" for each in named or [OWNER, OTHER])
    assert f"it comes with {sources}, which a worker's image needs" in told
    assert "`comfyq images dockerfile flux-dev`" in told
    shown = lab.client.get("/workflows/flux-dev").json()
    assert [each["repository"] for each in shown["nodes"]] == [OWNER, OTHER]
    assert any(sources in reason for reason in shown["reasons"])
    graph = {
        "1": {"class_type": "FluxGuidance", "inputs": {}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "a"}},
    }
    [error] = lab.client.post("/generate", json={"graph": graph}).json()["errors"]
    is_said = f"it comes with {OWNER} at {COMMIT}" in error["message"]
    assert is_said == (named == [OWNER]), "of an own graph, only a manifest that names its class"
