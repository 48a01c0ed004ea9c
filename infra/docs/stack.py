"""The reference of the AWS stack: its parameters and outputs, from template.yaml."""

import json
from functools import cache
from typing import Any

from comfyq.config import PROJECT
from infra.checks.document import Document
from infra.checks.written import written
from infra.docs.markdown import code, table, whole_page

INTRODUCTION = """\
Everything on AWS stands in `template.yaml`, an AWS SAM template. How to deploy it:
[deploy to AWS](../deploy.md). Its metrics and alarms: [metrics](metrics.md)."""


@cache
def template() -> Document:
    return written((PROJECT / "template.yaml").read_text(encoding="utf-8"))


def page() -> str:
    content = template().content
    parameters = [
        (code(name), _default(each), each.get("Description", ""), _allowed(each))
        for name, each in content["Parameters"].items()
    ]
    outputs = [
        (code(name), each.get("Description", ""), code(each.get("Condition", "")))
        for name, each in content["Outputs"].items()
    ]
    return whole_page(
        "AWS stack",
        INTRODUCTION,
        "## Parameters",
        table(("parameter", "default", "meaning", "allowed"), parameters),
        "## Outputs",
        table(("output", "meaning", "only with the condition"), outputs),
    )


def _default(parameter: dict[str, Any]) -> str:
    default = parameter.get("Default")
    return "" if default in (None, "") else code(str(default))


def _allowed(parameter: dict[str, Any]) -> str:
    if "AllowedValues" in parameter:
        return ", ".join(code(str(each)) for each in parameter["AllowedValues"])
    bounds = [f"{sign} {parameter[key]}" for key, sign in _BOUNDS.items() if key in parameter]
    return ", ".join(bounds) or code(json.dumps(parameter.get("AllowedPattern", "")).strip('"'))


_BOUNDS = {"MinValue": "≥", "MaxValue": "≤"}
