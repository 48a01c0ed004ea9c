import json
from collections.abc import Mapping

from anyio.lowlevel import checkpoint

from comfyq.ports.clock import Clock
from comfyq.ports.items import added, check_query, holds, live, projected, stored
from comfyq.ports.table import (
    INDEXES,
    MAIN,
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

Items = dict[Key, str]  # as JSON, so that nobody holds what the table holds
Views = dict[Key, Item]  # the same, for queries, which look at all and give copies


class MemoryTable:
    """A table that can lag and fail as the distributed ones do.

    ``lagging``: queries of other indexes than ``main`` see the items as they were when ``settle``
    was last called. ``faults_before`` and ``faults_after`` are raised, one at a time, by the next
    writes and additions: before anything is done, or when it is done (an answer that got lost).
    ``gets`` and ``listed`` count the items that were read by key, and by queries; ``added`` counts
    additions.
    """

    def __init__(self, *, clock: Clock, lagging: bool = False) -> None:
        self.lagging = lagging
        self.faults_before: list[Exception] = []
        self.faults_after: list[Exception] = []
        self.gets = self.listed = self.added = 0
        self._clock = clock
        self._items: Items = {}
        self._views: Views = {}
        self._settled: Views = {}

    def settle(self) -> None:
        """Let the lagging indexes catch up."""
        self._settled = dict(self._views)

    def items(self) -> Mapping[Key, Item]:
        """Return all that is stored, what has expired too."""
        return {key: json.loads(body) for key, body in self._items.items()}

    async def get(self, key: Key) -> Item | None:
        check_key(key)
        await checkpoint()
        self.gets += 1
        return self._find(key)

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
        await checkpoint()
        chosen = INDEXES[index]
        items = sorted(
            (
                item
                for item in self._view(index, chosen.partition, partition)
                if _within(item.get(chosen.sort), prefix=prefix, upto=upto, above=above)
            ),
            key=lambda item: _place(_cursor(chosen, item)),
            reverse=descending,
        )
        if after is not None:
            items = [item for item in items if _follows(_cursor(chosen, item), after, descending)]
        self.listed += min(len(items), limit)
        cursor = _cursor(chosen, items[limit - 1]) if len(items) > limit else None
        return Page([_copy(projected(index, item)) for item in items[:limit]], cursor)

    async def write(self, *writes: Write, synced: bool = True) -> None:
        check(writes)
        await checkpoint()
        _raise_next(self.faults_before)
        stored = [self._find(write.key) for write in writes]
        refused = {
            position: item
            for position, (write, item) in enumerate(zip(writes, stored, strict=True))
            if not holds(write, item)
        }
        if refused:
            raise ConditionFailed(refused)
        for write in writes:
            self._store(write)
        _raise_next(self.faults_after)

    async def add(self, key: Key, by: int, *, least: int = 0, most: int, ttl: int) -> Sum:
        check_key(key)
        await checkpoint()
        _raise_next(self.faults_before)
        self.added += 1
        result, put = added(self._find(key), key, by, least=least, most=most, ttl=ttl)
        if put is not None:
            self._store(put)
        _raise_next(self.faults_after)
        return result

    def _find(self, key: Key) -> Item | None:
        body = self._items.get(key)
        return live(json.loads(body), self._clock.now()) if body else None

    def _view(self, index: str, name: str, partition: str) -> list[Item]:
        """Return the live items of a partition; whoever asks must not change them."""
        views = self._settled if self.lagging and index != MAIN else self._views
        now = self._clock.now()
        found = (item for item in views.values() if item.get(name) == partition)
        return [item for item in found if live(item, now) is not None]

    def _store(self, write: Write) -> None:
        if isinstance(write, Put):
            self._items[write.key] = body = json.dumps(stored(write.item))
            self._views[write.key] = json.loads(body)
        else:
            self._items.pop(write.key, None)
            self._views.pop(write.key, None)


def _copy(item: Item) -> Item:
    """Return an item whose holder changes nothing of the table's."""
    return {
        name: json.loads(json.dumps(value)) if isinstance(value, dict | list) else value
        for name, value in item.items()
    }


def _raise_next(faults: list[Exception]) -> None:
    if faults:
        raise faults.pop(0)


def _within(sort: str | None, *, prefix: str | None, upto: str | None, above: str | None) -> bool:
    if sort is None or (prefix is not None and not sort.startswith(prefix)):
        return False
    if above is not None and sort.encode() <= above.encode():
        return False
    return upto is None or sort.encode() <= upto.encode()


def _cursor(index: Index, item: Item) -> Cursor:
    return Cursor(item[index.sort], item["pk"], item["sk"])


def _place(cursor: Cursor) -> tuple[bytes, ...]:
    return tuple(part.encode() for part in cursor)


def _follows(cursor: Cursor, after: Cursor, descending: bool) -> bool:
    place, bound = _place(cursor), _place(after)
    return place < bound if descending else place > bound
