"""Rules about what can be reached from where."""

from collections.abc import Iterator, Mapping
from typing import Any

from infra.checks.access import Statement, places
from infra.checks.document import Document, Resource, at, many
from infra.checks.intrinsics import text

POLICY_TYPES = ("AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy")
WRITTEN_APIS = ("AWS::Serverless::HttpApi", "AWS::Serverless::WebSocketApi")  # of SAM
GUARDED = {"AWS::SQS::Queue": "sqs:*", "AWS::S3::Bucket": "s3:*", "AWS::SNS::Topic": "sns:Publish"}


def nobody_is_let_in_by_a_resource(document: Document) -> Iterator[str]:
    """Resource policies allow services of this account alone."""
    for policy in document.of(*POLICY_TYPES, "AWS::KMS::Key"):
        for statement in _statements(policy):
            if statement["Effect"] == "Allow" and _anybody(statement) and not _bound(statement):
                yield f"{policy.id}: {statement['Action']} for {statement['Principal']}"
    for permission in document.of("AWS::Lambda::Permission"):
        if permission.find("SourceArn") is None:
            yield f"{permission.id}: anybody's API may call {text(permission.find('FunctionName'))}"


def buckets_are_private(document: Document) -> Iterator[str]:
    for bucket in document.of("AWS::S3::Bucket"):
        block = bucket.find("PublicAccessBlockConfiguration", {})
        if len(block) != 4 or set(block.values()) != {True}:
            yield f"{bucket.id}: could be made public: {block}"
        if bucket.find("OwnershipControls.Rules.0.ObjectOwnership") != "BucketOwnerEnforced":
            yield f"{bucket.id}: objects could have other owners"


def everything_is_reached_by_tls(document: Document) -> Iterator[str]:
    denied = _denied_without_tls(document)
    for resource in document.of(*GUARDED):
        for place in _places_of(resource):
            if GUARDED[resource.type] not in denied.get(place, ()):
                yield f"{place}: may be reached without TLS"


def everything_is_encrypted(document: Document) -> Iterator[str]:
    wanted: Mapping[str, tuple[str, Any]] = {
        "AWS::DynamoDB::Table": ("SSESpecification.SSEEnabled", True),
        "AWS::SQS::Queue": ("SqsManagedSseEnabled", True),
        "AWS::S3::Bucket": (
            "BucketEncryption.ServerSideEncryptionConfiguration.0"
            ".ServerSideEncryptionByDefault.SSEAlgorithm",
            "AES256",
        ),
        "AWS::SNS::Topic": ("KmsMasterKeyId", {"Ref": "AlarmKey"}),
        "AWS::EC2::LaunchTemplate": (
            "LaunchTemplateData.BlockDeviceMappings.0.Ebs.Encrypted",
            True,
        ),
    }
    for resource in document.of(*wanted):
        path, value = wanted[resource.type]
        if resource.find(path) != value:
            yield f"{resource.id}: is not encrypted"


def instances_are_closed(document: Document) -> Iterator[str]:
    """Nothing comes in, only HTTPS goes out."""
    for group in document.of("AWS::EC2::SecurityGroup"):
        if group.find("SecurityGroupIngress"):
            yield f"{group.id}: lets something in"
        ports = {(rule.get("FromPort"), rule.get("ToPort")) for rule in _egress(group)}
        if ports != {(443, 443)}:
            yield f"{group.id}: lets out {ports}"
    for rule in document.of("AWS::EC2::SecurityGroupIngress"):
        yield f"{rule.id}: lets something in"


def metadata_is_out_of_reach(document: Document) -> Iterator[str]:
    """Of containers: the instance's role is the agent's, not theirs."""
    for template in document.of("AWS::EC2::LaunchTemplate"):
        options = template.find("LaunchTemplateData.MetadataOptions", {})
        if (options.get("HttpTokens"), options.get("HttpPutResponseHopLimit")) != ("required", 1):
            yield f"{template.id}: metadata is open to containers or without a token: {options}"
    for task in document.of("AWS::ECS::TaskDefinition"):
        for container in task.find("ContainerDefinitions", []):
            if container.get("Privileged") or container.get("PortMappings"):
                yield f"{task.id}: {container['Name']} is privileged, or listens"
        if task.find("NetworkMode") != "bridge":
            yield f"{task.id}: shares the instance's network, and so its metadata"


def pages_are_named(document: Document) -> Iterator[str]:
    """No page of another origin may call or read anything unless its origin was named."""
    if at(document.content, "Parameters.CorsOrigins.Default") != "":
        yield "CorsOrigins: pages of others may call the API by default"
    off = {"Ref": "AWS::NoValue"}
    for api in document.of("AWS::ApiGatewayV2::Api", *WRITTEN_APIS):
        cors = api.find("Body.x-amazon-apigateway-cors") or api.find("CorsConfiguration")
        if cors and (at(cors, "Fn::If.0"), at(cors, "Fn::If.2")) != ("HasCorsOrigins", off):
            yield f"{api.id}: pages of others may call it"


def clients_show_keys(document: Document) -> Iterator[str]:
    """Nobody uses the API without a key unless whoever deploys says so."""
    if at(document.content, "Parameters.Auth.Default") != "keys":
        yield "Auth: everyone may do everything by default"
    for function in document.of("AWS::Lambda::Function"):
        if function.find("Environment.Variables.COMFYQ_AUTH") != {"Ref": "Auth"}:
            yield f"{function.id}: does not know whether clients need a key"


def accesses_are_logged(document: Document) -> Iterator[str]:
    """Each API logs who called it, from where, and what the answer was."""
    for stage in document.of("AWS::ApiGatewayV2::Stage", *WRITTEN_APIS):
        log = stage.find("AccessLogSettings")
        settings = at(log, "Fn::If.1", log) or {}
        fields = str(settings.get("Format"))
        if not {"DestinationArn", "Format"} <= set(settings) or "sourceIp" not in fields:
            yield f"{stage.id}: does not log who calls it"


def _egress(group: Resource) -> list[Mapping[str, Any]]:
    rules: list[Mapping[str, Any]] = group.find("SecurityGroupEgress", [{}])
    return rules


def _statements(policy: Resource) -> list[Statement]:
    found = policy.find("PolicyDocument.Statement") or policy.find("KeyPolicy.Statement")
    return list(found or [])


def _anybody(statement: Statement) -> bool:
    principal = statement.get("Principal")
    if not isinstance(principal, dict):
        return True
    return "*" in many(principal.get("AWS", [])) or "Service" in principal


def _bound(statement: Statement) -> bool:
    """Services act for whoever asks them: only this account may."""
    principal = statement.get("Principal")
    account = {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    equals = statement.get("Condition", {}).get("StringEquals")
    return isinstance(principal, dict) and set(principal) == {"Service"} and equals == account


def _denied_without_tls(document: Document) -> Mapping[str, set[str]]:
    """By place, the actions that a policy denies to requests in plain text."""
    denied = dict[str, set[str]]()
    for policy in document.of(*POLICY_TYPES):
        for statement in filter(_denies_plain_text, _statements(policy)):
            for place in places(statement):
                denied.setdefault(place, set()).update(many(statement["Action"]))
    return denied


def _denies_plain_text(statement: Statement) -> bool:
    secure = statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport")
    denies = (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    return denies and str(secure).lower() == "false"


def _places_of(resource: Resource) -> list[str]:
    match resource.type:
        case "AWS::S3::Bucket":
            return [f"${{{resource.id}.Arn}}", f"${{{resource.id}.Arn}}/*"]
        case "AWS::SNS::Topic":
            return [f"${{{resource.id}}}"]
        case _:
            return [f"${{{resource.id}.Arn}}"]
