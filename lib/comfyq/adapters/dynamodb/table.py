from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from comfyq.adapters.dynamodb import requests
from comfyq.adapters.dynamodb.calls import DynamoCalls, RequestRefused
from comfyq.adapters.dynamodb.values import dump_key, load_live
from comfyq.domain.errors import TableUnavailable
from comfyq.ports.clock import Clock
from comfyq.ports.items import check_query, projected
from comfyq.ports.table import (
    INDEXES,
    ConditionFailed,
    Cursor,
    Index,
    Item,
    Key,
    Page,
    Put,
    Sum,
    Write,
    check,
    check_key,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ADD_TRIES = 5  # beyond the first, each fails only if others change the same number meanwhile
NUMBERS = 1_000  # that are remembered


class DynamoTable:
    """The table on DynamoDB.

    ``client`` makes the client; it is called once, at the first use, in a thread. ``on_date`` is
    called with DynamoDB's own time, to the second, with each answer.

    The client repeats a write whose answer was lost, and the repetition may be refused because the
    first was stored: callers recognize their own item in ConditionFailed.
    """

    def __init__(
        self,
        *,
        client: Callable[[], "DynamoDBClient"],
        table: str,
        clock: Clock,
        on_date: Callable[[datetime], None] | None = None,
    ) -> None:
        self._caller = DynamoCalls(client=client, on_date=on_date)
        self._table = table
        self._clock = clock
        self._numbers: dict[Key, int] = {}  # as they were last seen

    async def get(self, key: Key) -> Item | None:
        check_key(key)
        answer = await self._caller.call(
            lambda client: client.get_item(
                TableName=self._table, Key=dump_key(key), ConsistentRead=True
            )
        )
        return load_live(answer.get("Item"), self._clock.now())

    async def query(
        self,
        index: str,
        partition: str,
        *,
        limit: int,
        prefix: str | None = None,
        upto: str | None = None,
        above: str | None = None,
        descending: bool = False,
        after: Cursor | None = None,
    ) -> Page:
        bounds = {"prefix": prefix, "upto": upto, "above": above}
        check_query(index, partition, limit=limit, bounds=bounds, after=after)
        outside = 0 if after is None else requests.side(after, prefix=prefix, upto=upto)
        if outside == (-1 if descending else 1):
            return Page([], None)  # nothing follows
        if outside:
            after = None  # all of them follow
        arguments = requests.query(
            index, partition, bounds=bounds, descending=descending, after=after
        )
        items: list[Item] = []
        more = True
        # Expired items count towards DynamoDB's limit and not towards ours.
        while more and len(items) <= limit:
            live_items, start = await self._read(arguments, limit=limit + 1)
            items += live_items
            arguments["ExclusiveStartKey"] = start
            more = start is not None
        page = [projected(index, item) for item in items[:limit]]
        return Page(page, _cursor(INDEXES[index], page[-1]) if len(items) > limit else None)

    async def write(self, *writes: Write, synced: bool = True) -> None:
        check(writes)
        now = self._clock.now()
        with _refusals(now):
            if len(writes) == 1:
                await self._write_one(writes[0], now)  # a transaction costs twice as much
            else:
                await self._write_all(writes, now)

    async def add(self, key: Key, by: int, *, least: int = 0, most: int, ttl: int) -> Sum:
        check_key(key)
        if least > most:
            return await self._number(key, least)
        begins = self._numbers.get(key, least - 1) < least  # as is likely; DynamoDB decides
        for _ in range(ADD_TRIES):
            now = self._clock.now()
            request = (
                requests.begin(key, by, least=least, ttl=ttl, now=now)
                if begins
                else requests.add(key, by, least=least, most=most, ttl=ttl, now=now)
            )
            try:
                return Sum(self._noted(key, await self._update(request)), added=True)
            except RequestRefused as refused:
                item = load_live(refused.found[0], now)
            number = least - 1 if item is None else self._noted(key, item["n"])
            if number > most:
                return Sum(number, added=False)
            begins = number < least
        raise TableUnavailable(f"the number {key} was changed by others {ADD_TRIES} times in a row")

    async def _read(
        self, arguments: requests.Arguments, *, limit: int
    ) -> tuple[list[Item], dict[str, Any] | None]:
        """Return the live items of one answer, and where the next page begins."""
        present = {name: value for name, value in arguments.items() if value is not None}
        answer = await self._caller.call(
            lambda client: client.query(TableName=self._table, Limit=limit, **present)
        )
        now = self._clock.now()
        items = (load_live(attributes, now) for attributes in answer["Items"])
        return [item for item in items if item is not None], answer.get("LastEvaluatedKey")

    async def _write_one(self, write: Write, now: datetime) -> None:
        arguments = requests.write(write, now)
        if isinstance(write, Put):
            await self._caller.call(lambda c: c.put_item(TableName=self._table, **arguments))
        else:
            await self._caller.call(lambda c: c.delete_item(TableName=self._table, **arguments))

    async def _write_all(self, writes: Sequence[Write], now: datetime) -> None:
        steps: list[Any] = [
            {type(write).__name__: {"TableName": self._table, **requests.write(write, now)}}
            for write in writes
        ]
        await self._caller.call(lambda client: client.transact_write_items(TransactItems=steps))

    async def _number(self, key: Key, least: int) -> Sum:
        item = await self.get(key)
        return Sum(least if item is None else max(least, item["n"]), added=False)

    async def _update(self, request: requests.Arguments) -> int:
        answer = await self._caller.call(
            lambda client: client.update_item(TableName=self._table, **request)
        )
        return int(answer["Attributes"]["n"]["N"])

    def _noted(self, key: Key, number: int) -> int:
        """Remember a number, so that the next addition to it is likely to take one call."""
        self._numbers.pop(key, None)
        self._numbers[key] = number
        if len(self._numbers) > NUMBERS:
            self._numbers.pop(next(iter(self._numbers)))
        return number


@contextmanager
def _refusals(now: datetime) -> Iterator[None]:
    try:
        yield
    except RequestRefused as refused:
        items = {at: load_live(attributes, now) for at, attributes in refused.found.items()}
        raise ConditionFailed(items) from refused


def _cursor(index: Index, item: Item) -> Cursor:
    return Cursor(item[index.sort], item["pk"], item["sk"])
