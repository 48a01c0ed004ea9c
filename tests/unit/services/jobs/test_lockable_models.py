"""A model that no worker holds is no refusal where a lock says which bytes it is and a worker
fetches them."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from comfyq.adapters.filesystem.models.locks import write_lock
from comfyq.adapters.filesystem.workflows import FolderWorkflows, load_workflow
from comfyq.domain.errors import WorkflowNotFound
from comfyq.domain.job import JobId
from comfyq.domain.models.lock import LockedModel
from comfyq.services.jobs.admission import Admission
from comfyq.services.workflows.library import WorkflowLibrary
from tests.api_lab import ApiLab
from tests.catalogue_lab import info_with, join

pytestmark = pytest.mark.anyio

SHIPPED = Path(__file__).parents[4] / "workflows"
NAME, MISSING = "flux-dev", "flux1-dev.safetensors"
POOR = info_with("UNETLoader", "unet_name", ["other.safetensors"])


def locks(folder: Path) -> list[LockedModel]:
    """Lock every model of a workflow, whatever bytes it is."""
    return [
        LockedModel(
            folder=model.folder,
            file=model.file,
            source=model.source,
            sha256=f"{number:064x}",
            size=number,
        )
        for number, model in enumerate(load_workflow(folder).models, 1)
        if model.source is not None
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "workflows" / NAME
    shutil.copytree(SHIPPED / NAME, folder)
    write_lock(folder, locks(folder))
    return folder


@pytest.fixture
def lab(folder: Path) -> ApiLab:
    lab = ApiLab()
    services, workflows = lab.services, FolderWorkflows(folder.parent, look_s=0)
    services.workflows = workflows
    services.library = WorkflowLibrary(workflows=workflows, catalogues=services.catalogues)
    services.admission = Admission(
        workflows=workflows, catalogues=services.catalogues, draw_seed=lambda: 1
    )
    services.preparation._admission = services.admission
    return lab


def post(lab: ApiLab) -> Any:
    return lab.client.post("/generate", json={"workflow": NAME, "prompt": "a fox"})


async def test_it_is_admitted_with_its_locks_if_a_worker_fetches(
    lab: ApiLab, tmp_path: Path
) -> None:
    await join(lab, tmp_path / "a", POOR, worker="holds")
    refused = post(lab)
    assert refused.status_code == 422
    assert MISSING in refused.text
    assert lab.client.get(f"/workflows/{NAME}").json()["available"] is False
    await join(lab, tmp_path / "b", POOR, worker="fetches", fetches=True)
    job = post(lab)
    assert job.status_code == 202, job.text
    assert lab.client.get(f"/workflows/{NAME}").json()["available"] is True
    spec = await lab.records.spec(JobId(job.json()["id"]))
    assert MISSING in {model.file for model in spec.models}
    assert spec.judged_by is None, "a worker that lacks it must see that itself"
    lab.clock.advance(60)  # no worker is live: the last one that was, fetched
    assert post(lab).status_code == 202
    own = lab.client.post("/generate", json={"graph": dict(spec.graph)})
    assert own.status_code == 422, "a client's own graph has no lock"


async def test_a_lock_of_other_sources_or_none_admits_nothing(
    lab: ApiLab, folder: Path, tmp_path: Path
) -> None:
    await join(lab, tmp_path / "b", POOR, worker="fetches", fetches=True)
    assert post(lab).status_code == 202
    manifest = folder / "manifest.toml"
    text = manifest.read_text()
    assert "FLUX.1-dev/flux1-dev.safetensors@main" in text
    manifest.write_text(text.replace("flux1-dev.safetensors@main", "flux1-dev.safetensors@v2"))
    assert post(lab).status_code == 422
    (folder / "models.lock").write_text("version = 7")
    with pytest.raises(WorkflowNotFound, match=r"models.lock: has the version 7"):
        lab.services.workflows.get(NAME)
    (folder / "models.lock").unlink()
    assert post(lab).status_code == 422
