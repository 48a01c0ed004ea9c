"""Items as DynamoDB's JSON has them: {"S": "text"}, {"N": "1"} and so on.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from comfyq.ports.items import live, stored
from comfyq.ports.table import Item, Key

Attributes = dict[str, Any]  # by name; the values are DynamoDB's


def dump(item: Item) -> Attributes:
    return {name: _dump(value) for name, value in stored(item).items()}


def load(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _load(value) for name, value in attributes.items()}


def load_live(attributes: Mapping[str, Any] | None, now: datetime) -> Item | None:
    """The item, unless none stands or it has expired: DynamoDB deletes those days later."""
    return live(load(attributes), now) if attributes else None


def dump_key(key: Key) -> Attributes:
    pk, sk = key
    return dump({"pk": pk, "sk": sk})


def _dump(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(int(value))}
        case str():
            return {"S": value}
        case list():
            return {"L": [_dump(element) for element in value]}
        case _:
            return {"M": dump(value)}


def _load(value: Mapping[str, Any]) -> Any:
    match value:
        case {"N": number}:
            return int(number)
        case {"L": elements}:
            return [_load(element) for element in elements]
        case {"M": attributes}:
            return load(attributes)
        case _:
            (plain,) = value.values()
            return plain
