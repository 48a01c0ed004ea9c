"""Rules about who may do what."""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from infra.checks.calls import Right, recorded
from infra.checks.document import Document, Resource, many
from infra.checks.intrinsics import text

Statement = Mapping[str, Any]

# Actions that know no resources: https://docs.aws.amazon.com/service-authorization/latest/reference/
WITHOUT_RESOURCE = {"ecr:GetAuthorizationToken", "ecs:DiscoverPollEndpoint"}
# A star stands for ids that are not known before: objects, sockets, tasks, instances.
OPEN_ENDED = re.compile(
    r"(\$\{Bucket\.Arn\}/(assets|catalogues|outputs|pending)|:s3:::\$\{ModelsBucket\}/models"
    r"|/(POST|DELETE)/@connections"
    r"|:task/\$\{Cluster\}|:container-instance/\$\{Cluster\})/\*"
)
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}  # made by Lambda and ECS, not by our code
POLLER = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}  # Lambda's own
TRUSTED = {
    "ApiRole": "lambda.amazonaws.com",
    "WebSocketRole": "lambda.amazonaws.com",
    "ReaperRole": "lambda.amazonaws.com",
    "IntakeRole": "lambda.amazonaws.com",
    "WebhookRole": "lambda.amazonaws.com",
    "ApiGatewayRole": "apigateway.amazonaws.com",
    "OutsideWorkerRole": "rolesanywhere.amazonaws.com",
    "NodeRole": "ec2.amazonaws.com",
    "StartRole": "ecs-tasks.amazonaws.com",
    "PoolWorkerRole": "ecs-tasks.amazonaws.com",
}
# API Gateway asks for this policy of AWS's by name:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
POLICIES = {
    "ApiGatewayRole": [
        "arn:${AWS::Partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
    ]
}
TRUST_ACTIONS = {"sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"}


def roles_name_their_rights(document: Document) -> Iterator[str]:
    """No star where a name could stand, and nothing granted by a policy of AWS's."""
    for owner, statement in identity_statements(document):
        for fault in _stars(statement):
            yield f"{owner}: {fault}"
    for role in document.of("AWS::IAM::Role"):
        for policy in role.properties.get("ManagedPolicyArns", []):
            known = ["${WorkerPolicy}", *POLICIES.get(role.id, [])]
            if text(policy) not in known:
                yield f"{role.id}: {text(policy)} is not ours"


def _stars(statement: Statement) -> Iterator[str]:
    actions = many(statement.get("Action", "*"))
    yield from (f"{action} is a wildcard" for action in actions if "*" in action)
    for place in places(statement):
        if place == "*" and not set(actions) <= WITHOUT_RESOURCE:
            yield f"{actions} on everything"
        if place != "*" and "*" in OPEN_ENDED.sub("", place):
            yield f"{place} is a wildcard"


def rights_are_those_that_are_used(document: Document) -> Iterator[str]:
    """Compared both ways with what the code was overheard to call."""
    for owner, needed in recorded().items():
        granted = set(_rights(document, owner))
        for right in needed:
            if not any(_covers(grant, right) for grant in granted):
                yield f"{owner}: {_named(right)} is needed and not granted"
        for grant in granted:
            if not any(_covers(grant, right) for right in needed):
                yield f"{owner}: {_named(grant)} is granted and never used"


def functions_have_the_role_of_their_name(document: Document) -> Iterator[str]:
    """And write to their own log alone."""
    for function in document.of("AWS::Lambda::Function"):
        name = function.id.removesuffix("Function")
        if function.find("Role") != {"Fn::GetAtt": [f"{name}Role", "Arn"]}:
            yield f"{function.id}: its role is {text(function.find('Role'))}"
        logs = {
            (action, place)
            for owner, statement in identity_statements(document)
            if owner == f"{name}Role"
            for action in many(statement["Action"])
            for place in places(statement)
            if action in LOGS
        }
        if logs != {(action, f"${{{name}Log.Arn}}") for action in LOGS}:
            yield f"{name}Role: may write {sorted(logs)}"
        if function.find("LoggingConfig.LogGroup") != {"Ref": f"{name}Log"}:
            yield f"{function.id}: does not write to {name}Log"


def roles_are_taken_by_whom_they_are_for(document: Document) -> Iterator[str]:
    for role in document.of("AWS::IAM::Role"):
        if role.id not in TRUSTED and role.find("AssumeRolePolicyDocument.Statement.0") is None:
            yield f"{role.id}: nobody may take it"
        for statement in role.find("AssumeRolePolicyDocument.Statement", []):
            service = _service(statement)
            if service != TRUSTED.get(role.id, service) or service is None:
                yield f"{role.id}: taken by {statement.get('Principal')}"
            if not set(many(statement["Action"])) <= TRUST_ACTIONS:
                yield f"{role.id}: {statement['Action']} is no way to take a role"
            if service == "rolesanywhere.amazonaws.com" and "TrustAnchorArn" not in text(statement):
                yield f"{role.id}: any trust anchor may take it"
            if service == "rolesanywhere.amazonaws.com" and not _names_certificates(statement):
                yield f"{role.id}: any certificate of its CA may take it"


def _names_certificates(statement: Statement) -> bool:
    equals = statement.get("Condition", {}).get("StringEquals", {})
    named = equals.get("aws:PrincipalTag/x509Subject/CN")
    return bool(named == {"Ref": "WorkerCertificateName"})


def identity_statements(document: Document) -> Iterator[tuple[str, Statement]]:
    """(role or policy, statement) of everything that grants rights to a role."""
    for resource in document.of("AWS::IAM::Role"):
        for policy in resource.properties.get("Policies", []):
            yield from ((resource.id, each) for each in policy["PolicyDocument"]["Statement"])
    for resource in document.of("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"):
        yield from ((resource.id, each) for each in _statements(resource))


def places(statement: Statement) -> list[str]:
    return [text(place) for place in many(statement.get("Resource", "*"))]


def statement_partitions(statement: Statement) -> list[str]:
    """Return the kinds of partitions of the table that a statement is limited to."""
    limit = statement.get("Condition", {}).get("ForAllValues:StringLike", {})
    partitions: list[str] = many(limit.get("dynamodb:LeadingKeys", ""))
    return partitions


def _statements(policy: Resource) -> list[Statement]:
    found: list[Statement] = policy.find("PolicyDocument.Statement", [])
    return found


def _rights(document: Document, owner: str) -> Iterator[Right]:
    for name, statement in identity_statements(document):
        if name != owner:
            continue
        for action in many(statement["Action"]):
            for place in places(statement):
                if action not in LOGS and not _polls(owner, action, place):
                    partitions = statement_partitions(statement)
                    yield from (Right(action, place, each) for each in partitions)


def _polls(owner: str, action: str, place: str) -> bool:
    """Lambda itself takes messages from an event source, under the function's role."""
    queues = {
        "IntakeRole": {"${SubmissionsQueue.Arn}"},
        "WebhookRole": {"${WebhooksQueue.Arn}"},
        "ReaperRole": {"${JobsDeadLetters.Arn}", "${SubmissionsDeadLetters.Arn}"},
    }
    return action in POLLER and place in queues.get(owner, set())


def _covers(grant: Right, needed: Right) -> bool:
    place = grant.resource
    if ":execute-api:" in place:
        place = place.rsplit(":", 1)[1]
    return (grant.action, grant.partition) == (needed.action, needed.partition) and fnmatchcase(
        needed.resource, _pattern(place)
    )


def _named(right: Right) -> str:
    return f"{right.action} on {right.resource} {right.partition}".rstrip()


def _pattern(place: str) -> str:
    return place.replace("[", "[[]")


def _service(statement: Statement) -> str | None:
    principal = statement.get("Principal")
    if not isinstance(principal, dict) or set(principal) != {"Service"}:
        return None
    service = principal["Service"]
    return service if isinstance(service, str) else text(service)
