"""One operation a workflow in the API's description, so that ``/docs`` shows each as a form."""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from comfyq.domain.submission.request import COMMON
from comfyq.domain.workflow.workflow import Workflow
from comfyq.wire.generate.requests import GenerateRequest
from comfyq.wire.generate.webhooks import FIELDS

NULL = {"type": "null"}
GENERIC = "/workflows/{name}/generate"


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
    operation["operationId"] = f"{generic['operationId']}_{workflow.name.replace('-', '_')}"
    operation["summary"] = workflow.title
    operation["description"] = workflow.description
    operation["parameters"] = [each for each in operation["parameters"] if each["in"] != "path"]
    schema = {"$ref": f"#/components/schemas/{_schema_name(workflow)}"}
    content = {"schema": schema, "example": dict(workflow.sample)}
    operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    return operation


def _schema(workflow: Workflow) -> dict[str, Any]:
    schema = workflow.json_schema()
    required = set(schema["required"])
    properties = {
        name: value if name in required else _or_null(value)
        for name, value in schema["properties"].items()
    }
    return schema | {"properties": properties | _common()}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Allow null, which stands for the default; title and description stay where they are shown."""
    shown = {name: schema[name] for name in ("title", "description", "default") if name in schema}
    return shown | {"anyOf": [{k: v for k, v in schema.items() if k not in shown}, NULL]}


def _common() -> dict[str, Any]:
    """Return the schema of the fields that stand beside a workflow's values."""
    fields = GenerateRequest.model_json_schema()["properties"]
    return {
        name: {key: value for key, value in fields[name].items() if key != "title"}
        for name in (*COMMON, "labels", *FIELDS)
    }


def _schema_name(workflow: Workflow) -> str:
    return "".join(part.capitalize() for part in workflow.name.split("-")) + "Request"
