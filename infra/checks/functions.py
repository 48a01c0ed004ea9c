"""Rules about the Lambda functions and the environment of whatever runs our code."""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from comfyq.config.reference import reference
from infra.checks.document import Document, at
from infra.checks.intrinsics import container_variables, references, text

HTTP_API_S = 30  # the longest that API Gateway waits
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
VISIBILITY_FACTOR = 6  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
READ_BY_BOTO3 = {"AWS_REGION"}

# What each process cannot do without, and what it must be.
WANTED = {
    "COMFYQ_BACKEND": "aws",
    "COMFYQ_TABLE": "${Table}",
    "COMFYQ_QUEUE_URL": "${JobsQueue}",
    "COMFYQ_BUCKET": "${Bucket}",
    "COMFYQ_FAIR_QUEUE": "${FairQueue}",
    "COMFYQ_RETENTION_S": "${RetentionS}",
    "COMFYQ_NODES": "${Nodes}",
    "COMFYQ_NODES_DENIED": "${NodesDenied}",
    "COMFYQ_RUNNING_JOBS": "${RunningJobs}",
    "COMFYQ_OUTPUT_BYTES": "${OutputBytes}",
    "COMFYQ_METRICS_EMF": "${EmbeddedMetrics}",
}
Environment = Mapping[str, Any]


def handlers_exist(document: Document) -> Iterator[str]:
    """Each command names something in ``functions`` that can be called with an event."""
    for function in document.of("AWS::Lambda::Function"):
        [command] = function.find("ImageConfig.Command", ["functions"])
        module, _, name = command.rpartition(".")
        try:
            handler = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError) as missing:
            yield f"{function.id}: {command}: {missing}"
            continue
        if not module.startswith("functions.") or not callable(handler):
            yield f"{function.id}: {command} is no entry point"


def environments_are_read(document: Document) -> Iterator[str]:
    """Every name is one that ``comfyq.config`` or boto3 reads."""
    known = known_names()
    for owner, environment in environments(document):
        for name in sorted(set(environment) - known):
            yield f"{owner}: nobody reads {name}"


def environments_are_complete(document: Document) -> Iterator[str]:
    for owner, environment in environments(document):
        for name, value in WANTED.items():
            if text(environment.get(name)) != value:
                yield f"{owner}: {name} is {text(environment.get(name))}, not {value}"
        if "WebSocketApi" in set(references(environment.get("PUBLIC_URL"))):
            yield f"{owner}: links lead to the sockets"


def webhooks_go_where_they_are_allowed(document: Document) -> Iterator[str]:
    """Who takes a URL, and who sends to it, is told the same."""
    for function in document.of("AWS::Lambda::Function"):
        allowed = text(function.find("Environment.Variables.COMFYQ_WEBHOOK_ALLOW"))
        if allowed != "${WebhookAllow}":
            yield f"{function.id}: COMFYQ_WEBHOOK_ALLOW is {allowed}, not what the stack is told"


def secrets_go_to_whom_they_are_for(document: Document) -> Iterator[str]:
    """The API encrypts keys of partner nodes, workers decrypt them; nobody else needs the secret,
    and CloudFormation does not show it."""
    if at(document.content, "Parameters.PartnerSecret.NoEcho") is not True:
        yield "PartnerSecret: whoever may describe the stack reads it"
    own = {"Fn::If": ["HasPartnerSecret", {"Ref": "PartnerSecret"}, {"Ref": "AWS::NoValue"}]}
    for owner, environment in environments(document):
        wanted = own if owner in ("ApiFunction", "WorkerTask") else None
        if environment.get("COMFYQ_PARTNER_SECRET") != wanted:
            yield f"{owner}: {'needs' if wanted else 'has no use for'} COMFYQ_PARTNER_SECRET"


def links_lead_to_the_api(document: Document) -> Iterator[str]:
    """Whoever posts frames knows the API's URL; the API itself is asked at it."""
    for owner, environment in environments(document):
        sub = "execute-api.${AWS::Region}.${AWS::URLSuffix}"
        url = {"Fn::Sub": "https://${HttpApi}." + sub}
        if owner == "ApiFunction":
            url = {"Ref": "AWS::NoValue"}
            if environment.get("COMFYQ_WS_URL") != {
                "Fn::Sub": "wss://${WebSocketApi}." + sub + "/${Stage}"
            }:
                yield f"{owner}: does not tell clients where the sockets are"
        if environment.get("PUBLIC_URL") != {"Fn::If": ["HasPublicUrl", {"Ref": "PublicUrl"}, url]}:
            yield f"{owner}: PUBLIC_URL is {environment.get('PUBLIC_URL')}"


def time_outs_fit(document: Document) -> Iterator[str]:
    api = document.get("ApiFunction")
    if not 0 < api.find("Timeout", 0) < HTTP_API_S:
        yield f"{api.id}: API Gateway gives up after {HTTP_API_S} s"
    for mapping in document.of("AWS::Lambda::EventSourceMapping"):
        function = document.get(next(references(mapping.find("FunctionName")), ""))
        queue = document.get(next(references(mapping.find("EventSourceArn")), ""))
        least = VISIBILITY_FACTOR * function.find("Timeout", 3)
        if queue.find("VisibilityTimeout", 30) < least:
            yield f"{queue.id}: visible again before {least} s, six times {function.id}'s time-out"
        if "ReportBatchItemFailures" not in mapping.find("FunctionResponseTypes", []):
            yield f"{mapping.id}: one bad message brings back its whole batch"


def functions_are_called(document: Document) -> Iterator[str]:
    """By a route, a schedule or a queue."""
    callers = (
        "AWS::ApiGatewayV2::Integration",
        "AWS::ApiGatewayV2::Api",
        "AWS::Scheduler::Schedule",
    )
    called = set[str]()
    for caller in document.of(*callers, "AWS::Lambda::EventSourceMapping"):
        called |= set(references(caller.properties))
    for function in document.of("AWS::Lambda::Function"):
        if function.id not in called:
            yield f"{function.id}: nobody calls it"
    routes = {route.find("RouteKey") for route in document.of("AWS::ApiGatewayV2::Route")}
    if routes != {"$connect", "$disconnect", "$default", "subscribe", "unsubscribe"}:
        yield f"WebSocketApi: its routes are {sorted(routes)}"
    for schedule in document.of("AWS::Scheduler::Schedule"):
        if schedule.find("ScheduleExpression") != "rate(1 minute)":
            yield f"{schedule.id}: the reaper is to look each minute"


def logs_end(document: Document) -> Iterator[str]:
    for log in document.of("AWS::Logs::LogGroup"):
        if log.find("RetentionInDays") != {"Ref": "LogRetentionDays"}:
            yield f"{log.id}: is kept for {log.find('RetentionInDays', 'ever')}"


def environments(document: Document) -> Iterator[tuple[str, Environment]]:
    """(owner, environment) of every process that runs our code."""
    for function in document.of("AWS::Lambda::Function"):
        yield function.id, function.find("Environment.Variables", {})
    for task in document.of("AWS::ECS::TaskDefinition"):
        for container in task.find("ContainerDefinitions", []):
            yield task.id, container_variables(container)


def known_names() -> set[str]:
    """Every name in the environment that has a meaning."""
    return {each.name for each in reference()} | READ_BY_BOTO3
