"""What ``/docs`` and generated clients are told."""

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
        return [found for each in value for found in references(each)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [found for each in value.values() for found in references(each)]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_pages_are_there(lab: ApiLab, path: str) -> None:
    answer = lab.client.get(path)
    assert answer.status_code == 200
    assert "/openapi.json" in answer.text


def test_every_operation_is_there_under_its_own_name(document: dict[str, Any]) -> None:
    operations = {
        (method.upper(), path): operation["operationId"]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    forms = {("POST", f"/workflows/{name}/generate") for name in WORKFLOWS.names()}
    assert forms <= set(operations)
    assert {key: name for key, name in operations.items() if key not in forms} == {
        ("POST", "/generate"): "submit",
        ("GET", "/generate"): "listing",
        ("GET", "/generate/{job_id}"): "show",
        ("DELETE", "/generate/{job_id}"): "cancel",
        ("GET", "/generate/{job_id}/story"): "story",
        ("GET", "/generate/{job_id}/metadata"): "metadata",
        ("GET", "/generate/{job_id}/outputs/{index}"): "download",
        ("POST", "/assets"): "upload",
        ("GET", "/assets/{asset_id}"): "asset",
        ("POST", "/assets/uploads"): "offer_upload",
        ("POST", "/assets/uploads/{upload_id}/complete"): "complete_upload",
        ("GET", "/workflows"): "workflows",
        ("GET", "/workflows/{name}"): "workflow",
        ("GET", "/health"): "health",
        ("POST", "/generate/batch"): "submit_batch",
        ("GET", "/generate/batch/{batch_id}"): "show_batch",
        ("DELETE", "/generate/batch/{batch_id}"): "cancel_batch",
        ("GET", "/dead"): "dead_letters",
        ("GET", "/dead/{letter_id}"): "dead_letter",
        ("POST", "/dead/{letter_id}/redrive"): "redrive",
    }
    assert document["info"]["version"] == __version__


def test_every_reference_resolves(document: dict[str, Any]) -> None:
    names = {found.removeprefix("#/components/schemas/") for found in references(document)}
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
        "wait",
        "reuse",
        "metadata",
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
