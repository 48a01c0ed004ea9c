"""Rules about the table, the queues and the bucket."""

from collections.abc import Iterator, Mapping
from typing import Any

from comfyq.config import Settings
from comfyq.ports.table import INDEXES, MAIN, Index
from infra.checks.document import Document, at

RECEIVES = 10  # before a message is a dead letter
LONGEST_S = 14 * 24 * 3600  # that SQS keeps a message
QUEUES = {"JobsQueue": "JobsDeadLetters", "SubmissionsQueue": "SubmissionsDeadLetters"}


def the_table_is_that_of_the_port(document: Document) -> Iterator[str]:
    """Keys and indexes are those of ``ports/table.py``; every index has ``ttl`` besides."""
    table = document.get("Table")
    if _keys(table.properties) != (INDEXES[MAIN].partition, INDEXES[MAIN].sort):
        yield f"Table: its keys are {_keys(table.properties)}"
    found = {each["IndexName"]: each for each in table.find("GlobalSecondaryIndexes", [])}
    wanted = {name: index for name, index in INDEXES.items() if name != MAIN}
    if set(found) != set(wanted):
        yield f"Table: its indexes are {sorted(found)}, not {sorted(wanted)}"
    for name in set(found) & set(wanted):
        yield from _index_faults(name, found[name], wanted[name])
    defined = {each["AttributeName"] for each in table.find("AttributeDefinitions", [])}
    used = {part for index in INDEXES.values() for part in (index.partition, index.sort)}
    if defined != used or any(
        each["AttributeType"] != "S" for each in table.find("AttributeDefinitions", [])
    ):
        yield f"Table: defines {sorted(defined)}, as text or not"


def the_table_outlives_accidents(document: Document) -> Iterator[str]:
    table = document.get("Table")
    wanted = {
        "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True},
        "PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled": True,
        "DeletionProtectionEnabled": True,
        "BillingMode": "PAY_PER_REQUEST",
    }
    for path, value in wanted.items():
        if table.find(path) != value:
            yield f"Table: {path} is {table.find(path)}"
    for kept in (table, document.get("Bucket")):
        policies = (kept.whole.get("DeletionPolicy"), kept.whole.get("UpdateReplacePolicy"))
        if policies != ("Retain", "Retain"):
            yield f"{kept.id}: goes with the stack: {policies}"


def queues_lead_to_dead_letters(document: Document) -> Iterator[str]:
    for name, dead in QUEUES.items():
        redrive = document.get(name).find("RedrivePolicy", {})
        if redrive != {
            "deadLetterTargetArn": {"Fn::GetAtt": [dead, "Arn"]},
            "maxReceiveCount": RECEIVES,
        }:
            yield f"{name}: its redrive policy is {redrive}"
        if document.get(dead).find("MessageRetentionPeriod") != LONGEST_S:
            yield f"{dead}: keeps what is dead for less than {LONGEST_S} s"
        if document.get(dead).find("RedrivePolicy"):
            yield f"{dead}: leads on"


def doorbells_fit_leases(document: Document) -> Iterator[str]:
    """A doorbell shows again when the lease that came with it has lapsed, not before."""
    settings, queue = Settings(), document.get("JobsQueue")
    wanted = {
        "VisibilityTimeout": settings.timing.lease_s,
        "ReceiveMessageWaitTimeSeconds": settings.worker.wait_s,
    }
    for name, value in wanted.items():
        if queue.find(name) != value:
            yield f"JobsQueue: {name} is {queue.find(name)}, the worker counts on {value}"


def the_bucket_forgets_only_what_is_unfinished(document: Document) -> Iterator[str]:
    """Outputs go with their job, by the reaper."""
    rules = document.get("Bucket").find("LifecycleConfiguration.Rules", [])
    for rule in rules:
        if rule.get("ExpirationInDays") and rule.get("Prefix") != "pending/":
            yield f"Bucket: {rule['Id']} deletes outputs"
        if rule.get("Status") != "Enabled":
            yield f"Bucket: {rule['Id']} is off"
    if not any("ExpirationInDays" in rule for rule in rules):
        yield "Bucket: pending uploads stay for ever"
    if not any("AbortIncompleteMultipartUpload" in rule for rule in rules):
        yield "Bucket: parts of unfinished uploads stay, and cost, for ever"
    cors = document.get("Bucket").find("CorsConfiguration.Fn::If.1", {})
    methods = at(cors, "CorsRules.0.AllowedMethods", [])
    if set(methods) != {"GET", "HEAD", "PUT"}:  # what a signed link allows
        yield f"Bucket: pages may {methods}"


def deleted_objects_come_back_for_a_while(document: Document) -> Iterator[str]:
    for bucket in document.of("AWS::S3::Bucket"):
        if bucket.find("VersioningConfiguration.Status") != "Enabled":
            yield f"{bucket.id}: what is deleted is gone"
        rules = bucket.find("LifecycleConfiguration.Rules", [])
        if not any("NoncurrentVersionExpiration" in rule for rule in rules):
            yield f"{bucket.id}: what is deleted stays, and costs, for ever"


def _index_faults(name: str, found: Mapping[str, Any], wanted: Index) -> Iterator[str]:
    if _keys(found) != (wanted.partition, wanted.sort):
        yield f"Table: index {name} has the keys {_keys(found)}"
    projection = found["Projection"]
    attributes = set(projection.get("NonKeyAttributes", []))
    if projection["ProjectionType"] != "INCLUDE" or attributes != {
        *(wanted.projection or ()),
        "ttl",
    }:
        yield f"Table: index {name} projects {projection}"


def _keys(definition: Mapping[str, Any]) -> tuple[str, ...]:
    schema = definition.get("KeySchema", [])
    order = {"HASH": 0, "RANGE": 1}
    ordered = sorted(schema, key=lambda key: order[key["KeyType"]])
    return tuple(key["AttributeName"] for key in ordered)
