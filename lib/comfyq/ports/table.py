"""The port to one table of items, with the semantics that SQLite and DynamoDB share.

Values are str, int, bool, list and dict; there are no floats, and None is dropped, wherever it
stands. An item's key is (``pk``, ``sk``). ``version`` is compared by conditions, ``ttl`` (epoch
seconds) makes an item expire, and expired means absent: in ``get``, ``query``, every condition and
``add``.

``check`` refuses what any engine would refuse, so every adapter calls it first: SQLite alone
would take items that DynamoDB does not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from comfyq.domain.errors import TooLarge

Value = str | int | bool | list[Any] | dict[str, Any]
Item = Mapping[str, Any]  # values are Value
Key = tuple[str, str]  # pk, sk

MAX_WRITES = 25  # of one transaction; DynamoDB's own limit is 100 [1]
MAX_ITEM_BYTES = 350_000  # DynamoDB's own limit is 400 KB with the attribute names [2]
MAX_KEY_BYTES = 1_024  # DynamoDB's limit of a sort key [2]
MAX_TRANSACTION_BYTES = 3_900_000  # DynamoDB's own limit is 4 MB [1]
MAX_DIGITS = 38  # of a number in DynamoDB [2]
BIGGEST = 10**MAX_DIGITS
# [1] https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
# [2] https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html


@dataclass(frozen=True, slots=True)
class Index:
    """A view of the items that have its two attributes, ordered by the second.

    ``projection`` is what a query returns beside the keys: None is everything.
    """

    partition: str
    sort: str
    projection: tuple[str, ...] | None


MAIN = "main"
INDEXES: Mapping[str, Index] = {
    MAIN: Index("pk", "sk", None),
    "tenant": Index("tpk", "tsk", ("status",)),  # a tenant's jobs by age
    "status": Index("spk", "tsk", ()),  # those of one status
    "active": Index("apk", "ask", ()),  # what the reaper looks at, by deadline
    "ready": Index("rpk", "rsk", ()),  # waiting jobs of a model family, by tenant
}


INDEX_KEYS = tuple({name for index in INDEXES.values() for name in (index.partition, index.sort)})


class Cursor(NamedTuple):
    """The last item of a page; the next page begins after it."""

    sort: str
    pk: str
    sk: str


@dataclass(frozen=True, slots=True)
class Page:
    items: Sequence[Item]
    cursor: Cursor | None  # None: there is no more


@dataclass(frozen=True, slots=True)
class Put:
    """Write a whole item: if none is there (``absent``), over ``version``, or in any case."""

    item: Item
    absent: bool = False
    version: int | None = None

    @property
    def key(self) -> Key:
        return self.item["pk"], self.item["sk"]


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove an item, if ``version`` is given only that version of it."""

    key: Key
    version: int | None = None


Write = Put | Delete


class Sum(NamedTuple):
    """A number after ``Table.add``."""

    number: int  # as it is stored now, or counts
    added: bool  # False: it was over the most already, and nothing was written


class ConditionFailed(Exception):
    """Nothing was written.

    ``found`` maps the position of each refused write to the stored item, or to None.
    """

    def __init__(self, found: Mapping[int, Item | None]) -> None:
        super().__init__(f"refused: {sorted(found)}")
        self.found = dict(found)


class Table(Protocol):
    """Raises TableUnavailable from every method where the engine does not answer."""

    async def get(self, key: Key) -> Item | None:
        """Read an item consistently."""
        ...

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
        """One page of an index's partition, in the order of its sort key's UTF-8 bytes.

        ``prefix``, ``upto`` (inclusive) and ``above`` (exclusive) bound the sort key; at most one
        of them is given, and no ``after`` beside ``above``. ``after`` may be the place of an item
        that is not there, or of another partition, or outside of the bounds.
        Indexes other than ``main`` may lag, so who decides reads again by key.
        """
        ...

    async def write(self, *writes: Write, synced: bool = True) -> None:
        """Do up to MAX_WRITES writes, on different keys, all or none.

        A write survives the death of any process. If it is not ``synced``, a power cut of the
        table's own machine may undo it, until a later write is synced.

        Raises:
            ConditionFailed: a condition does not hold.
            TooLarge: see ``check``.
        """
        ...

    async def add(self, key: Key, by: int, *, least: int = 0, most: int, ttl: int) -> Sum:
        """Add ``by`` to the number under ``key``, unless it is over ``most`` before.

        It counts as ``least`` if it is lower, or absent, or expired. ``ttl`` (epoch seconds) is its
        new expiry. The addition survives the death of any process, not a power cut.
        """
        ...


def check(writes: Sequence[Write]) -> None:
    """Refuse writes that some engine would refuse.

    Raises:
        ValueError: no or too many writes, an empty or repeated key, a value of another type.
        TooLarge: an item or key over its limit.
    """
    if not 1 <= len(writes) <= MAX_WRITES:
        raise ValueError(f"{len(writes)} writes; a transaction has 1 to {MAX_WRITES}")
    keys = [write.key for write in writes]
    if len(set(keys)) < len(keys):
        raise ValueError("a key stands twice in one transaction")
    for key in keys:
        check_key(key)
    size = sum([check_item(write.item) for write in writes if isinstance(write, Put)])
    if size > MAX_TRANSACTION_BYTES:
        raise TooLarge(f"a transaction of {size} bytes; the most is {MAX_TRANSACTION_BYTES}")


def check_key(key: Sequence[Any]) -> None:
    """Refuse a part of a key that is no string, empty (ValueError) or too long (TooLarge)."""
    for part in key:
        if not isinstance(part, str) or not part:
            raise ValueError(f"{part!r} in {key}; a key is a string that is not empty")
        if len(part) > MAX_KEY_BYTES or len(part.encode()) > MAX_KEY_BYTES:
            raise TooLarge(f"a key of over {MAX_KEY_BYTES} bytes: {part[:40]}…")


def check_item(item: Item) -> int:
    """Return the item's size in bytes, where it may be written; see ``check``."""
    check_key([item[name] for name in INDEX_KEYS if item.get(name) is not None])
    for name in ("version", "ttl"):
        value = item.get(name)
        if value is not None and (type(value) is not int or abs(value) >= 2**63):
            raise ValueError(f"{name} is {value!r}; it is a whole number under 2**63")
    size = size_of(dict(item))
    if size > MAX_ITEM_BYTES:
        raise TooLarge(f"an item of {size} bytes; the most is {MAX_ITEM_BYTES}")
    return size


def size_of(value: Any) -> int:
    """Return the bytes of a value as DynamoDB counts them, a little over.

    Raises:
        ValueError: a type that the table does not keep, or a number of too many digits.
    """
    kind = type(value)
    if kind is dict:
        return 3 + len(value) + sum(map(size_of_name, value)) + _size_of_all(value.values())
    if kind is list:
        return 3 + len(value) + _size_of_all(value)
    return _size_of_all((value,))


def _size_of_all(values: Iterable[Any]) -> int:
    """Add up the sizes of values; each value of every write is one of them, so none of the usual
    types costs a call."""
    size = 0
    for value in values:
        kind = type(value)  # an exact type is the quickest test
        if kind is str:
            size += len(value) if value.isascii() else len(value.encode())
        elif kind is int or kind is bool:
            if not -BIGGEST < value < BIGGEST:
                raise ValueError(f"a number of over {MAX_DIGITS} digits: {value}")
            size += 21
        elif kind is dict or kind is list:
            size += size_of(value)
        elif isinstance(value, str):
            size += len(value.encode())
        elif value is not None:
            raise ValueError(f"the table keeps no {kind.__name__}: {value!r}")
    return size


@lru_cache(maxsize=1_024)  # most items have the same
def size_of_name(name: Any) -> int:
    if not isinstance(name, str) or not name:
        raise ValueError(f"{name!r} as a name; a name is a string that is not empty")
    return len(name.encode())
