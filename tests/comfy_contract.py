"""The description of the Comfy API v2 that its official SDK carries, to hold answers against it."""

import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.validators import extend

PACKAGE = "comfy-sdk"
API = "/api/v2/"
JSON = "application/json"

FORMATS = FormatChecker(formats=())
STRICT = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer",
        lambda _, value: type(value) is int,  # clients refuse 10.0, which is one to JSON
    ),
)


@FORMATS.checks("date-time", raises=ValueError)
def is_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@FORMATS.checks("uri")
def is_absolute(value: object) -> bool:
    return not isinstance(value, str) or urlsplit(value).scheme in ("http", "https")


def fetched(folder: Path) -> "Contract":
    """Return the description that the SDK's source has, as JSON Schema."""
    return Contract(_as_json_schema(described(folder)))


def described(folder: Path) -> dict[str, Any]:
    """Fetch the SDK's source of the installed version from the package index; return its
    description of the API, as it stands there."""
    wanted = f"{PACKAGE}=={version(PACKAGE)}"
    pip = (sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check")
    options = ("--no-deps", "--no-build-isolation", "--no-binary", PACKAGE, "--dest", folder)
    subprocess.run([*pip, *options, wanted], check=True, timeout=60)
    [archive] = folder.glob("*.tar.gz")
    with tarfile.open(archive) as source:
        [member] = [each for each in source if each.name.endswith("/spec/openapi.yaml")]
        content = source.extractfile(member)
        assert content is not None
        document: dict[str, Any] = yaml.safe_load(content.read())
        return document


@dataclass
class Contract:
    document: Mapping[str, Any]
    seen: set[tuple[str, int]] = field(default_factory=set)  # operation id, status

    def check(self, answer: httpx.Response) -> None:
        """Raise AssertionError unless the contract has such an answer to such a request.

        What it does not have routes for is left out: lists of jobs, the links of outputs.
        """
        operation = self._operation(answer.request)
        if operation is None:
            return
        place = f"{operation['operationId']} {answer.status_code}"
        described = operation["responses"].get(str(answer.status_code))
        assert described is not None, f"{place} is not described"
        self.seen.add((operation["operationId"], answer.status_code))
        described = self._resolved(described)
        content = described.get("content", {})
        if JSON in content and answer.request.method != "HEAD":
            assert answer.headers["content-type"] == JSON, place
            self.validate(json.loads(answer.content), content[JSON]["schema"], place)
        for name in described.get("headers", {}):
            if name == "Retry-After" and answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
                assert answer.headers.get(name, "none").isdigit(), place

    def check_error(self, answer: httpx.Response) -> None:
        """Raise AssertionError unless an error below the contract's paths is in its envelope."""
        if urlsplit(str(answer.request.url)).path.startswith(API):
            place = f"{answer.request.method} {answer.request.url} {answer.status_code}"
            assert answer.headers["content-type"] == JSON, place
            envelope = {"$ref": "#/components/schemas/ErrorEnvelope"}
            self.validate(json.loads(answer.content), envelope, place)

    def check_event(self, kind: str, data: object) -> None:
        """Raise AssertionError unless the contract has such an event."""
        events = self.document["paths"]["/api/v2/jobs/{id}/events"]["get"]["x-sse-events"]
        self.validate(data, {"$ref": events[kind]["schema"]}, f"event {kind}")

    def validate(self, value: object, schema: Mapping[str, Any], place: str) -> None:
        whole = {**schema, "components": self.document["components"]}
        validator = STRICT(whole, format_checker=FORMATS)
        wrong = [f"{each.json_path}: {each.message}" for each in validator.iter_errors(value)]
        assert not wrong, f"{place}: {wrong}"

    def _operation(self, request: httpx.Request) -> Mapping[str, Any] | None:
        path = urlsplit(str(request.url)).path
        templates = self.document["paths"]
        fitting = [each for each in templates if _fits(each, path) and "{" not in each]
        fitting += [each for each in templates if _fits(each, path) and "{" in each]
        of_path: Mapping[str, Any] = templates[fitting[0]] if fitting else {}
        return of_path.get(request.method.lower())

    def _resolved(self, described: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" not in described:
            return described
        *_, kind, name = described["$ref"].split("/")
        resolved: Mapping[str, Any] = self.document["components"][kind][name]
        return resolved

    @property
    def documented(self) -> Iterator[tuple[str, int]]:
        """Yield each answer that the contract has, by operation and status."""
        for of_path in self.document["paths"].values():
            for operation in of_path.values():
                for status in operation["responses"]:
                    yield operation["operationId"], int(status)


def _as_json_schema(described: Any) -> Any:
    """Return a description in which ``nullable``, OpenAPI's own, is said as JSON Schema has it."""
    if isinstance(described, list):
        return [_as_json_schema(each) for each in described]
    if not isinstance(described, dict):
        return described
    rest = {name: _as_json_schema(each) for name, each in described.items() if name != "nullable"}
    return {"anyOf": [rest, {"type": "null"}]} if described.get("nullable") is True else rest


def _fits(template: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) is not None
