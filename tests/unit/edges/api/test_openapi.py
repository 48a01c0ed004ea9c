"""The OpenAPI document, for ``/docs`` and generated clients."""

from typing import Any

import pytest

from comfyq import __version__
from tests.api_lab import WORKFLOWS, ApiLab


@pytest.fixture(scope="module")
def lab() -> ApiLab:
    return ApiLab()


@pytest.fixture(scope="module")
def document(lab: ApiLab) -> dict[str, Any]:
    body: dict[str, Any] = lab.client.get("/openapi.json").json()
    return body


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [name for each in value for name in references(each)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [name for each in value.values() for name in references(each)]


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_the_operations_of_the_specification_are_there(document: dict[str, Any]) -> None:
    assert {("POST", "/generate"), ("GET", "/generate/{job_id}"), ("GET", "/health")} <= set(
        operations(document)
    )
    assert document["info"]["version"] == __version__


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    for place, operation in operations(document).items():
        assert operation["tags"], place
        assert operation["summary"], place
        assert operation["description"], place


def test_every_operation_has_an_id_of_its_router_and_function(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for operation in operations(document).values()]
    assert len(set(ids)) == len(ids)
    for operation in operations(document).values():
        assert operation["operationId"].startswith(operation["tags"][0].replace(" ", "_") + "_")
    assert {"generate_submit", "batches_show", "dead_letters_redrive"} <= set(ids)


def test_every_operation_declares_what_it_answers(document: dict[str, Any]) -> None:
    for place, operation in operations(document).items():
        answers = operation["responses"]
        assert any(int(status) < 300 for status in answers), place
        assert {"422", "503"} <= set(answers), place


def test_what_is_looked_up_by_its_id_may_be_missing(document: dict[str, Any]) -> None:
    for place, operation in operations(document).items():
        if "{" in place[1]:
            assert "404" in operation["responses"], place


def test_what_takes_json_may_find_it_unreadable(document: dict[str, Any]) -> None:
    for place, operation in operations(document).items():
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            assert {"400", "413", "415"} <= set(operation["responses"]), place


def test_each_workflow_has_an_operation_of_its_own(document: dict[str, Any]) -> None:
    forms = {("POST", f"/workflows/{name}/generate") for name in WORKFLOWS.names()}
    assert forms <= set(operations(document))
    assert ("POST", "/workflows/{name}/generate") not in operations(document)


def test_every_reference_resolves(document: dict[str, Any]) -> None:
    names = {name.removeprefix("#/components/schemas/") for name in references(document)}
    assert names <= set(document["components"]["schemas"])
    assert {"JobView", "Problem", "ProblemField", "GenerateRequest"} <= names


def test_every_error_is_a_problem_document(document: dict[str, Any]) -> None:
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert set(response["content"]) == {"application/problem+json"}
    assert not {"HTTPValidationError", "ValidationError"} & set(document["components"]["schemas"])


def test_the_request_is_that_of_the_specification(document: dict[str, Any]) -> None:
    request = document["components"]["schemas"]["GenerateRequest"]
    assert set(request["properties"]) == {
        "prompt",
        "negative_prompt",
        "workflow",
        "width",
        "height",
        "steps",
        "cfg",
        "seed",
        "loras",
        "sampler",
        "scheduler",
        "preset",
        "graph",
        "overrides",
        "extra_data",
        "wait",
        "labels",
        "webhook_url",
        "webhook_events",
        "reuse",
        "metadata",
        "priority",
    }
    assert {"required": ["prompt"]} in request["anyOf"]
    assert request["properties"]["workflow"]["default"] == "flux-dev.json"
    assert request["properties"]["prompt"]["type"] == "string"


def test_the_example_is_accepted(lab: ApiLab, document: dict[str, Any]) -> None:
    for example in document["components"]["schemas"]["GenerateRequest"]["examples"]:
        assert lab.client.post("/generate", json=example).status_code == 202


def test_accepting_is_documented_with_its_header_and_an_example(document: dict[str, Any]) -> None:
    accepted = document["paths"]["/generate"]["post"]["responses"]["202"]
    assert "Location" in accepted["headers"]
    example = accepted["content"]["application/json"]["example"]
    assert (example["status"], example["progress"]) == ("queued", 0.0)
    assert set(example) == set(document["components"]["schemas"]["JobView"]["properties"])


def test_the_description_follows_the_workflows(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lab.app.openapi()
    assert lab.app.openapi() is before
    only = [lab.services.workflows.get("sd15")]
    monkeypatch.setattr(lab.services.library, "all", lambda: only)
    forms = {path for path in lab.app.openapi()["paths"] if path.endswith("/generate")}
    assert forms - {"/generate"} == {"/workflows/sd15/generate"}


def test_a_server_that_asks_for_keys_describes_how_to_send_one() -> None:
    asking = ApiLab(COMFYQ_AUTH="keys").client.get("/openapi.json").json()
    assert asking["components"]["securitySchemes"].keys() == {"bearer", "apiKey"}
    assert asking["paths"]["/generate"]["post"]["security"] == [{"bearer": []}, {"apiKey": []}]
    assert "security" not in asking["paths"]["/health/live"]["get"]
    optional: list[Any] = [{}, {"bearer": []}, {"apiKey": []}]
    assert asking["paths"]["/health"]["get"]["security"] == optional
    open_to_all = ApiLab().client.get("/openapi.json").json()
    assert "securitySchemes" not in open_to_all["components"]
    assert "security" not in open_to_all["paths"]["/generate"]["post"]
