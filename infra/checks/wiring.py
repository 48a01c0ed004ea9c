"""Rules about references: each leads somewhere, none in a circle, none to what may be missing."""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from infra.checks.document import Document, many
from infra.checks.intrinsics import references, without_branch

OUTPUTS = {
    "ApiUrl": "HttpApi",
    "WebSocketUrl": "WebSocketApi",
    "TableName": "Table",
    "QueueUrl": "JobsQueue",
    "SubmissionsQueueUrl": "SubmissionsQueue",
    "WebhooksQueueUrl": "WebhooksQueue",
    "BucketName": "Bucket",
    "WorkerPolicyArn": "WorkerPolicy",
}

# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-rules.html
OF_RULES = {
    "Ref",
    "Fn::And",
    "Fn::Contains",
    "Fn::EachMemberEquals",
    "Fn::EachMemberIn",
    "Fn::Equals",
    "Fn::Not",
    "Fn::Or",
    "Fn::RefAll",
    "Fn::ValueOf",
    "Fn::ValueOfAll",
}


def references_lead_somewhere(document: Document) -> Iterator[str]:
    known = set(document.resources) | set(document.content.get("Parameters", {}))
    for name, needed in _graph(document).items():
        for other in sorted(needed - known):
            if not other.startswith("AWS::"):
                yield f"{name}: there is no {other}"


def rules_use_the_functions_of_rules(document: Document) -> Iterator[str]:
    """CloudFormation refuses every other one there; no tool tells."""
    for name, rule in document.content.get("Rules", {}).items():
        for function in sorted(set(_functions(rule)) - OF_RULES):
            yield f"{name}: {function} is no function of rules"


def nothing_goes_in_circles(document: Document) -> Iterator[str]:
    try:
        TopologicalSorter(_graph(document)).prepare()
    except CycleError as cycle:
        yield " -> ".join(cycle.args[1])


def conditions_are_kept(document: Document) -> Iterator[str]:
    """Check that a conditional resource is used only under its condition."""
    holder = {name: each.condition for name, each in document.resources.items() if each.condition}
    implied = {"WarmPool": {"GpuPool"}, "HasAlarmEmail": set[str](), "GpuPool": set[str]()}
    for resource in document.resources.values():
        held = {resource.condition} | implied.get(resource.condition or "", set())
        for name, condition in holder.items():
            sure = without_branch(resource.properties, condition)
            if condition not in held and name in set(references(sure)):
                yield f"{resource.id}: {name} is not always there"


def outputs_tell_what_a_worker_needs(document: Document) -> Iterator[str]:
    outputs = document.content.get("Outputs", {})
    for name, resource in OUTPUTS.items():
        if resource not in set(references(outputs.get(name, {}))):
            yield f"output {name}: does not tell of {resource}"


def _graph(document: Document) -> Mapping[str, set[str]]:
    return {
        resource.id: set(references(resource.properties))
        | set(many(resource.whole.get("DependsOn", [])))
        for resource in document.resources.values()
    }


def _functions(value: Any) -> Iterator[str]:
    match value:
        case dict():
            yield from (key for key in value if key == "Ref" or key.startswith("Fn::"))
            yield from _functions(list(value.values()))
        case list():
            for part in value:
                yield from _functions(part)
        case _:
            pass
