"""Arguments of DynamoDB's API for the table's calls.

DynamoDB deletes expired items with a delay, so every condition also tests an item's expiry.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from comfyq.adapters.dynamodb.values import dump, dump_key
from comfyq.ports.table import INDEXES, MAIN, Cursor, Delete, Key, Put, Write

Arguments = dict[str, Any]

ALIVE = "(attribute_not_exists(#ttl) OR #ttl > :now)"
EXPIRED = "#ttl <= :now"

CONDITION_ABSENT = f"attribute_not_exists(pk) OR {EXPIRED}"
CONDITION_VERSION = f"#version = :version AND {ALIVE}"
CONDITION_GOES_ON = f"#n BETWEEN :least AND :most AND {ALIVE}"
CONDITION_BEGINS = f"attribute_not_exists(pk) OR #n < :least OR {EXPIRED}"

BOUNDS = {
    "prefix": "begins_with(#sort, :prefix)",
    "upto": "#sort <= :upto",
    "above": "#sort > :above",
}


def write(request: Write, now: datetime) -> Arguments:
    """Arguments of PutItem or DeleteItem, but for the table's name."""
    match request:
        case Put(absent=True):
            return {"Item": dump(request.item), **_condition(CONDITION_ABSENT, now)}
        case Put():
            return {"Item": dump(request.item), **_version(request.version, now)}
        case Delete():
            return {"Key": dump_key(request.key), **_version(request.version, now)}


def add(key: Key, by: int, *, least: int, most: int, ttl: int, now: datetime) -> Arguments:
    """Arguments of the UpdateItem that adds to a number which is within its bounds."""
    values = {":by": by, ":least": least, ":most": most}
    return _addition(key, "#n + :by", CONDITION_GOES_ON, values, ttl=ttl, now=now)


def begin(key: Key, by: int, *, least: int, ttl: int, now: datetime) -> Arguments:
    """Arguments of the UpdateItem that adds to ``least``, where no number is above it."""
    values = {":start": least + by, ":least": least}
    return _addition(key, ":start", CONDITION_BEGINS, values, ttl=ttl, now=now)


def _addition(
    key: Key, number: str, condition: str, values: dict[str, Any], *, ttl: int, now: datetime
) -> Arguments:
    return {
        "Key": dump_key(key),
        "UpdateExpression": f"SET #n = {number}, #ttl = :ttl",
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {"#n": "n", "#ttl": "ttl"},
        "ExpressionAttributeValues": dump({**values, ":ttl": ttl, ":now": int(now.timestamp())}),
        "ReturnValues": "UPDATED_NEW",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def query(
    index: str,
    partition: str,
    *,
    bounds: Mapping[str, str | None],
    descending: bool,
    after: Cursor | None,
) -> Arguments:
    """Arguments of Query, but for the table's name and the limit."""
    chosen = INDEXES[index]
    conditions = ["#partition = :partition"]
    names = {"#partition": chosen.partition}
    values = {":partition": partition}
    for name, bound in bounds.items():
        if bound is not None:
            conditions.append(BOUNDS[name])
            values[f":{name}"] = bound
    if len(conditions) > 1:
        names["#sort"] = chosen.sort
    arguments: Arguments = {
        "KeyConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": dump(values),
        "ScanIndexForward": not descending,
    }
    # Only the table itself can be read consistently.
    arguments |= {"ConsistentRead": True} if index == MAIN else {"IndexName": index}
    if after is not None:
        # DynamoDB refuses a key of another partition; who asks may have made the cursor.
        start = {"pk": after.pk, "sk": after.sk}
        arguments["ExclusiveStartKey"] = dump(
            {**start, chosen.partition: partition, chosen.sort: after.sort}
        )
    return arguments


def side(after: Cursor, *, prefix: str | None, upto: str | None) -> int:
    """Return where a place is: 0 within the bounds of a query, -1 before them, 1 behind. DynamoDB
    refuses to begin outside."""
    place = after.sort.encode()
    if prefix is not None and not place.startswith(prefix.encode()):
        return -1 if place < prefix.encode() else 1
    return int(upto is not None and place > upto.encode())


def _version(version: int | None, now: datetime) -> Arguments:
    if version is None:
        return {}
    return _condition(CONDITION_VERSION, now, {"version": version})


def _condition(expression: str, now: datetime, compared: dict[str, Any] | None = None) -> Arguments:
    compared = compared or {}
    values = {":now": int(now.timestamp()), **{f":{name}": v for name, v in compared.items()}}
    return {
        "ConditionExpression": expression,
        "ExpressionAttributeNames": {f"#{name}": name for name in ("ttl", *compared)},
        "ExpressionAttributeValues": dump(values),
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
