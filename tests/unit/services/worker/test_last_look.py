"""A worker's last look at a graph: the files that it names, and the nodes that it has."""

from dataclasses import replace
from typing import Any

import pytest

from comfyq.config import Auth, LimitSettings
from comfyq.domain.job import Job
from comfyq.domain.submission.admission import RAW
from comfyq.domain.submission.spec import Spec
from tests.farm import Farm
from tests.scripted_engine import CLASSES, ScriptedEngine

pytestmark = pytest.mark.anyio

SAVE = {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}}
FILM = ["COMBO", {"video_upload": True, "options": []}]
CATALOGUE: dict[str, Any] = {
    **CLASSES,
    "Films": {"input": {"required": {"film": FILM}}, "output": ["IMAGE"]},
    "Anything": {"input": {}, "output": ["*"], "python_module": "custom_nodes.any"},
}


async def ended(farm: Farm, film: Any, *, workflow: str = RAW) -> tuple[Job, ScriptedEngine]:
    graph = {
        "1": {"class_type": "Films", "inputs": {"film": film}},
        "2": {"class_type": "Anything", "inputs": {}},
        "9": SAVE,
    }
    job = await farm.submit(spec=Spec(graph=graph, parameters={}), workflow=workflow)
    engine = ScriptedEngine()
    engine.catalogue = CATALOGUE
    await farm.worker("w", engine).run_once()
    return await farm.records.get(job.id), engine


@pytest.mark.parametrize("film", ["/etc/passwd", ["2", 0]], ids=["outside", "computed"])
async def test_what_only_this_comfyuis_catalogue_tells_to_be_a_file_is_refused(
    farm: Farm, film: Any
) -> None:
    job, engine = await ended(farm, film)
    assert job.error is not None
    assert (job.error.code, job.error.node) == ("invalid-graph", "1")
    assert "film: " in job.error.message
    assert (engine.submitted, job.failures) == ([], 1)


async def test_files_inside_and_graphs_of_authors_run(farm: Farm) -> None:
    for film, workflow in (("a.mp4", RAW), ("/srv/a.mp4", "w")):
        job, engine = await ended(farm, film, workflow=workflow)
        assert (job.error, len(engine.submitted)) == (None, 1)


@pytest.mark.parametrize("auth", [None, Auth.NONE, Auth.KEYS])
async def test_where_clients_sign_in_a_file_that_only_the_catalogue_tells_of_is_the_jobs_own(
    farm: Farm, auth: Auth | None
) -> None:
    settings = farm.services.settings
    farm.services.settings = replace(settings, api=replace(settings.api, auth=auth))
    job, engine = await ended(farm, "a.mp4")
    assert (job.error and job.error.code) == ("invalid-graph" if auth is Auth.KEYS else None)
    assert len(engine.submitted) == (auth is not Auth.KEYS)
    job, _ = await ended(farm, "a.mp4", workflow="w")
    assert job.error is None, "what a workflow loads is its author's"


def set_rules(farm: Farm, limits: LimitSettings) -> None:
    farm.services.settings = replace(farm.services.settings, limits=limits)


@pytest.mark.parametrize("workflow", [RAW, "w"])
async def test_a_job_that_was_admitted_by_other_rules_is_refused_once(
    farm: Farm, workflow: str
) -> None:
    set_rules(farm, LimitSettings(nodes_denied="Any*"))
    job, engine = await ended(farm, "a.mp4", workflow=workflow)
    assert job.error is not None
    assert (job.error.code, job.error.node) == ("invalid-graph", "2")
    assert "COMFYQ_NODES_DENIED has Any*" in job.error.message
    assert (engine.submitted, job.failures) == ([], 1)


async def test_a_custom_node_that_has_taken_a_safe_name_does_not_run(farm: Farm) -> None:
    """Only the worker knows whose class it is, if the job came before any catalogue did."""
    set_rules(farm, LimitSettings(nodes="safe"))
    graph = {"1": {"class_type": "EmptyImage", "inputs": {}}, "9": SAVE}
    for module, error in (("nodes", None), ("custom_nodes.evil", "invalid-graph")):
        engine = ScriptedEngine()
        image = {"input": {}, "output": ["IMAGE"], "python_module": module}
        engine.catalogue = {**CLASSES, "EmptyImage": image}
        job = await farm.submit(spec=Spec(graph=graph, parameters={}), workflow=RAW)
        await farm.worker("w", engine).run_once()
        ended = await farm.records.get(job.id)
        assert (ended.error and ended.error.code) == error
