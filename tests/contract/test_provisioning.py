"""template.yaml is what the ports need, and what the emulator has is what template.yaml says."""

import json
from typing import Any
from uuid import uuid4

import pytest

from comfyq.adapters.provisioning.provision import provision
from comfyq.adapters.provisioning.template import Template, load
from comfyq.ports.table import INDEXES, MAIN, Index
from tests.fixtures.emulator import ROOT, TEMPLATE, Aws


@pytest.fixture(scope="module")
def template() -> Template:
    return load(TEMPLATE)


def keys(schema: Any) -> tuple[str, str]:
    by_type = {part["KeyType"]: part["AttributeName"] for part in schema}
    return by_type["HASH"], by_type["RANGE"]


def test_the_indexes_are_those_of_the_port(template: Template) -> None:
    table = template.get("Table", "AWS::DynamoDB::Table").properties
    indexes = {MAIN: Index(*keys(table["KeySchema"]), None)}
    for index in table["GlobalSecondaryIndexes"]:
        projection = index["Projection"]
        assert projection["ProjectionType"] == "INCLUDE"
        projected = list(projection["NonKeyAttributes"])
        projected.remove("ttl")  # beside the projection, so that queries can leave out the expired
        indexes[index["IndexName"]] = Index(*keys(index["KeySchema"]), tuple(projected))
    assert indexes == INDEXES
    types = {a["AttributeName"]: a["AttributeType"] for a in table["AttributeDefinitions"]}
    names = {name for index in INDEXES.values() for name in (index.partition, index.sort)}
    assert types == dict.fromkeys(names, "S")
    assert table["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}


def test_the_functions_run_their_entry_points(template: Template) -> None:
    commands = {
        name: resource.properties["ImageConfig"]["Command"]
        for name, resource in template.resources.items()
        if resource.type == "AWS::Serverless::Function"
    }
    assert {"ApiFunction", "WebSocketFunction", "ReaperFunction"} <= set(commands)
    for (command,) in commands.values():
        entry_point, _, name = command.rpartition(".")
        assert name == "handler"
        assert (ROOT / f"{entry_point.replace('.', '/')}.py").exists()


def test_every_reference_leads_somewhere(template: Template) -> None:
    known = {*template.resources, *template.parameters}
    for resource in template.resources.values():
        names = _references(resource.properties)
        assert {name for name in names if not name.startswith("AWS::")} <= known


def _references(value: Any) -> list[str]:
    match value:
        case {"Ref": str(name)}:
            return [name]
        case {"Fn::GetAtt": [str(name), _]}:
            return [name]
        case dict():
            return [name for part in value.values() for name in _references(part)]
        case list():
            return [name for part in value for name in _references(part)]
        case _:
            return []


def test_what_is_made_is_what_the_template_says(aws: Aws, template: Template) -> None:
    prefix = f"test-{uuid4().hex[:8]}"
    made, again = (
        provision(TEMPLATE, prefix=prefix, dynamodb=aws.dynamodb, sqs=aws.sqs, s3=aws.s3)
        for _ in range(2)
    )
    assert made == again
    assert made.table == f"{prefix}-table"
    table = aws.dynamodb.describe_table(TableName=made.table)["Table"]
    assert {index["IndexName"] for index in table["GlobalSecondaryIndexes"]} == set(INDEXES) - {
        MAIN
    }
    for url, visibility_s, dead in (
        (made.queue_url, "120", "jobs-dead-letters"),
        (made.submissions_queue_url, "180", "submissions-dead-letters"),
    ):
        attributes = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])[
            "Attributes"
        ]
        assert attributes["VisibilityTimeout"] == visibility_s
        redrive = json.loads(attributes["RedrivePolicy"])
        assert redrive["maxReceiveCount"] == 10
        assert redrive["deadLetterTargetArn"].endswith(f"{prefix}-{dead}")
    assert aws.s3.list_objects_v2(Bucket=made.bucket)["KeyCount"] == 0
