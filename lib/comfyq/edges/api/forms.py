"""One operation a workflow in the API's description, so that ``/docs`` shows each as a form."""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from comfyq.domain.workflow import Workflow

GENERIC = "/workflows/{name}/generate"
WAIT = {
    "type": "boolean",
    "default": False,
    "description": "Accept it even if no worker that is known could run it.",
}
METADATA = {
    "type": "boolean",
    "default": True,
    "description": "Tell how the outputs were made, beside them and in PNG files.",
}


def add_forms(document: dict[str, Any], workflows: Iterable[Workflow]) -> None:
    """Replace the operation for any workflow by one for each."""
    generic = document["paths"].pop(GENERIC)["post"]
    for workflow in workflows:
        path = GENERIC.replace("{name}", workflow.name)
        document["paths"][path] = {"post": _operation(generic, workflow)}
        document["components"]["schemas"][_schema_name(workflow)] = _schema(workflow)
    document["components"]["schemas"].pop("WorkflowValues", None)


def _operation(generic: dict[str, Any], workflow: Workflow) -> dict[str, Any]:
    operation: dict[str, Any] = deepcopy(generic)
    operation["operationId"] = f"generate_{workflow.name.replace('-', '_')}"
    operation["summary"] = workflow.title
    operation["description"] = workflow.description
    operation["parameters"] = [each for each in operation["parameters"] if each["in"] != "path"]
    schema = {"$ref": f"#/components/schemas/{_schema_name(workflow)}"}
    content = {"schema": schema, "example": dict(workflow.sample)}
    operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    return operation


def _schema(workflow: Workflow) -> dict[str, Any]:
    schema = workflow.json_schema()
    return schema | {"properties": schema["properties"] | {"wait": WAIT, "metadata": METADATA}}


def _schema_name(workflow: Workflow) -> str:
    return "".join(part.capitalize() for part in workflow.name.split("-")) + "Request"
