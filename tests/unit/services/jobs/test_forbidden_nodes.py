"""Graphs that the operator's lists forbid are refused wherever a job may come from."""

import json
from typing import Any

import pytest

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.domain.caller import Scope
from comfyq.domain.dead_letter import RedriveOutcome
from comfyq.domain.job import JobError
from comfyq.ports.inbox import Message
from tests.api_lab import ApiLab
from tests.fake_authenticator import with_scopes

pytestmark = pytest.mark.anyio

ID = "00000000-0000-4000-8000-000000000001"
GRAPH: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {}},
    "5": {"class_type": "ShellExec", "inputs": {"command": "id", "image": ["1", 0]}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["5", 0]}},
}
RULE = "COMFYQ_NODES_DENIED has Shell*"


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab(COMFYQ_NODES_DENIED="Shell*, *Advanced")


def refusal(answer: Any) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid-graph"), problem
    return problem


@pytest.mark.parametrize("query", ["", "?dry_run=true"])
@pytest.mark.parametrize("wait", [False, True])
def test_a_refusal_names_node_class_rule_and_remedy(lab: ApiLab, query: str, wait: bool) -> None:
    body = {"graph": GRAPH, "wait": wait}
    problem = refusal(lab.client.post(f"/generate{query}", json=body))
    [error] = problem["errors"]
    assert error["field"] == "graph.5"
    assert error["message"].startswith("node 5 (ShellExec): ")
    assert RULE in error["message"]
    assert "leave the node out, or ask the server's operator" in error["message"]
    [told] = problem["node_errors"]["5"]["errors"]
    assert (told["type"], told["details"].split(";")[0]) == ("forbidden_class", RULE)


@pytest.mark.parametrize(("auth", "status"), [("none", 202), ("keys", 422)])
def test_where_clients_sign_in_a_graph_names_no_file_but_its_jobs_own(
    auth: str, status: int
) -> None:
    lab = ApiLab(COMFYQ_AUTH=auth, authenticator=with_scopes(*Scope))
    loading = {"class_type": "LoadImage", "inputs": {"image": "example.png"}}
    saving = {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}}
    graph = {"1": loading, "9": saving}
    answer = lab.client.post("/generate", json={"graph": graph})
    assert answer.status_code == status, answer.text
    if status == 422:
        [told] = refusal(answer)["node_errors"]["1"]["errors"]
        assert told["type"] == "foreign_file"
        assert "send the file as an asset, a URL or a data URI" in told["details"]
    stored = lab.client.post("/assets?filename=a.png", content=b"a fox").json()["source"]
    graph["1"] = {**loading, "inputs": {"image": stored}}
    assert lab.client.post("/generate", json={"graph": graph}).status_code == 202


def test_workflows_are_judged_as_well(lab: ApiLab) -> None:
    problem = refusal(lab.client.post("/workflows/flux-dev/generate", json={"prompt": "a fox"}))
    assert {each["field"] for each in problem["errors"]} == {"workflow"}
    assert "SamplerCustomAdvanced" in problem["detail"]
    assert lab.submit(workflow="sd15")["id"]


async def test_the_list_of_workflows_tells_which_may_not_run(lab: ApiLab) -> None:
    listed = {each["name"]: each for each in lab.client.get("/workflows").json()["workflows"]}
    assert (listed["sd15"]["available"], listed["sd15"]["reasons"]) == (None, [])
    assert listed["flux-dev"]["available"] is False
    assert "COMFYQ_NODES_DENIED has *Advanced" in listed["flux-dev"]["reasons"][0]


def test_a_batch_refuses_it_beside_others(lab: ApiLab) -> None:
    body = {"requests": [{"prompt": "a fox", "workflow": "sd15"}, {"graph": GRAPH}]}
    answer = lab.client.post("/generate/batch", json=body)
    assert answer.status_code == 202
    [_, item] = answer.json()["items"]
    assert RULE in json.dumps(item)


async def test_a_queue_makes_a_failed_job_of_it(lab: ApiLab) -> None:
    sent = Message(ID, json.dumps({"graph": GRAPH}), {})
    assert await lab.intake.take(OWNER, sent) is RedriveOutcome.REFUSED
    shown = lab.show(ID)
    assert (shown["status"], shown["error_code"]) == ("failed", "invalid-graph")
    assert RULE in shown["error"]


async def test_a_retry_is_judged_by_the_rules_of_now(lab: ApiLab) -> None:
    job_id = lab.submit(workflow="sd15")["id"]
    await lab.fail(job_id, JobError("internal-error", "it broke"))
    lab.admission._rules = ApiLab(COMFYQ_NODES="SaveImage").services.settings.node_rules
    problem = refusal(lab.client.post(f"/generate/{job_id}/retry"))
    assert "COMFYQ_NODES has SaveImage alone" in problem["detail"]
