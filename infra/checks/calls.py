"""Calls of AWS by the code, as the rights that they need.

A right is an action, a resource written as in the template's ``!Sub``, and of the table and its
indexes the kind of partition: ``dynamodb:Query ${Table.Arn}/index/tenant T#*``.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

RECORD = Path(__file__).with_name("calls.json")

PARTITION_VALUE = ":partition"  # as the adapter names it in its queries

Parameters = Mapping[str, Any]


class Right(NamedTuple):
    action: str  # dynamodb:Query
    resource: str  # ${Table.Arn}/index/tenant
    partition: str = ""  # JOB#*; empty outside the table


# What an S3 call needs is not always called like it:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
S3_ACTIONS = {
    "CompleteMultipartUpload": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "HeadObject": "GetObject",
    "UploadPart": "PutObject",
}
# https://docs.aws.amazon.com/apigateway/latest/developerguide/
# apigateway-websocket-control-access-iam.html
SOCKET_METHODS = {"PostToConnection": "POST", "DeleteConnection": "DELETE"}
# A transaction needs the rights of its parts and none of its own:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
TRANSACTION_ACTIONS = {
    "ConditionCheck": "ConditionCheckItem",
    "Delete": "DeleteItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
}


@dataclass
class Recording:
    """The rights that calls needed, and how often each API was called.

    ``queues`` tells the logical id of a queue by its URL.
    """

    queues: Mapping[str, str]
    rights: Counter[Right] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)

    def note(self, service: str, operation: str, params: Parameters) -> None:
        self.calls[f"{service}:{operation}"] += 1
        self.rights.update(self._needed(service, operation, params))

    def _needed(self, service: str, operation: str, params: Parameters) -> Iterator[Right]:
        match service:
            case "dynamodb":
                yield from _table_rights(operation, params)
            case "sqs":
                queue = self.queues[params["QueueUrl"]]
                # SendMessageBatch and its kin need the right for one message.
                yield Right(f"sqs:{operation.removesuffix('Batch')}", f"${{{queue}.Arn}}")
            case "s3":
                action = S3_ACTIONS.get(operation, operation)
                yield Right(f"s3:{action}", _objects(params))
            case "apigatewaymanagementapi" if operation in SOCKET_METHODS:
                place = f"${{WebSocketApi}}/${{Stage}}/{SOCKET_METHODS[operation]}/@connections/*"
                yield Right("execute-api:ManageConnections", place)
            case _:
                yield Right(f"{service}:{operation}", "?")


def _table_rights(operation: str, params: Parameters) -> Iterator[Right]:
    if operation == "TransactWriteItems":
        for step in params["TransactItems"]:
            for kind in step:
                action = f"dynamodb:{TRANSACTION_ACTIONS[kind]}"
                yield Right(action, "${Table.Arn}", _partition(step[kind]))
        return
    index = params.get("IndexName")
    place = f"${{Table.Arn}}/index/{index}" if index else "${Table.Arn}"
    yield Right(f"dynamodb:{operation}", place, _partition(params))


def _partition(params: Parameters) -> str:
    """Return the kind of partition that a call reads or writes: ``JOB#*``, ``WORKER``."""
    if "KeyConditionExpression" in params:
        [value] = params["ExpressionAttributeValues"][PARTITION_VALUE].values()
    else:
        [value] = (params.get("Item") or params["Key"])["pk"].values()
    kind, mark, _ = value.partition("#")
    return f"{kind}#*" if mark else str(kind)


def _objects(params: Parameters) -> str:
    """All objects of a folder are one resource: ``outputs/*``."""
    key = params.get("Key")
    return "${Bucket.Arn}" if key is None else f"${{Bucket.Arn}}/{key.split('/')[0]}/*"


def recorded(path: Path = RECORD) -> Mapping[str, frozenset[Right]]:
    """By role, the rights that its code was seen to need; ``record`` wrote them."""
    roles = json.loads(path.read_text(encoding="utf-8"))
    return {
        role: frozenset(
            Right(action, place, partition)
            for action, places in rights.items()
            for place, partitions in places.items()
            for partition in partitions
        )
        for role, rights in roles.items()
    }


def record(recordings: Mapping[str, Recording], path: Path = RECORD) -> None:
    roles = {role: _grouped(recording) for role, recording in sorted(recordings.items())}
    path.write_text(json.dumps(roles, indent=2) + "\n", encoding="utf-8")


def _grouped(recording: Recording) -> dict[str, dict[str, list[str]]]:
    """Group rights by action and resource; outside the table the one partition is empty."""
    grouped: dict[str, dict[str, list[str]]] = {}
    for right in sorted(recording.rights):
        grouped.setdefault(right.action, {}).setdefault(right.resource, []).append(right.partition)
    return grouped
