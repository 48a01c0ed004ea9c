"""Dead letters: ``DEAD#id`` / ``META``, and the body in parts beside it.

A body may have 1 MiB, more than an item holds. All of a letter's items expire together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from comfyq.domain.caller import TenantId
from comfyq.domain.dead_letter import DeadLetter, Origin
from comfyq.domain.errors import DeadLetterNotFound, TooContended
from comfyq.ports.table import ConditionFailed, Cursor, Item, Key, Put, Table
from comfyq.records.times import from_ms, sortable, to_ms

KEPT = timedelta(days=14)  # as long as SQS keeps a message
LISTED_UNDER = "DEAD"  # with the tenant, the partition of the index `tenant`
PART_CHARS = 80_000  # of four bytes at most, which is below an item's limit
MAX_PARTS = 20  # 1.6 million characters; SQS takes 1,048,576 bytes [1]
# [1] https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html


@dataclass(frozen=True, slots=True)
class DeadLetterIds:
    """A page of ids, newest first; ``cursor`` is where the next begins."""

    ids: Sequence[str]
    cursor: Cursor | None


class DeadLetterRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def add(self, letter: DeadLetter) -> bool:
        """Keep a letter; False: one with this id is kept already, and stays as it is."""
        item = _item(letter)
        parts = [letter.body[at : at + PART_CHARS] for at in range(0, len(letter.body), PART_CHARS)]
        bodies = [
            Put({"pk": item["pk"], "sk": f"BODY#{n:02d}", "text": text, "ttl": item["ttl"]})
            for n, text in enumerate(parts[:MAX_PARTS])
        ]
        try:
            await self._table.write(Put(item, absent=True), *bodies)
        except ConditionFailed:
            return False
        return True

    async def get(self, letter_id: str) -> DeadLetter:
        """Raises DeadLetterNotFound."""
        item = await self._table.get(_key(letter_id))
        if item is None:
            raise DeadLetterNotFound(f"there is no dead letter {letter_id}")
        page = await self._table.query("main", item["pk"], prefix="BODY#", limit=MAX_PARTS)
        return _letter(item, body="".join(part["text"] for part in page.items))

    async def list(
        self, tenant: TenantId, *, limit: int, after: Cursor | None = None
    ) -> DeadLetterIds:
        """A tenant's letters; the index lags, so a page may miss the newest."""
        page = await self._table.query(
            "tenant", _partition(tenant), limit=limit, descending=True, after=after
        )
        return DeadLetterIds([item["pk"].removeprefix("DEAD#") for item in page.items], page.cursor)

    async def count_redrive(self, letter: DeadLetter) -> DeadLetter:
        """Note that the letter is sent again.

        Raises:
            TooContended: another request redrives it at the same time.
        """
        again = replace(letter, redrives=letter.redrives + 1)
        try:
            await self._table.write(Put(_item(again), version=letter.redrives + 1))
        except ConditionFailed as refused:
            raise TooContended(
                f"dead letter {letter.id} is being redriven by another request"
            ) from refused
        return again


def _key(letter_id: str) -> Key:
    return f"DEAD#{letter_id}", "META"


def _partition(tenant: TenantId) -> str:
    return f"{LISTED_UNDER}#{tenant}"


def _item(letter: DeadLetter) -> Item:
    pk, sk = _key(letter.id)
    return {
        "pk": pk,
        "sk": sk,
        "version": letter.redrives + 1,
        "origin": str(letter.origin),
        "tenant": letter.tenant,
        "attributes": dict(letter.attributes),
        "reason": letter.reason,
        "buried": to_ms(letter.buried_at),
        "tpk": _partition(letter.tenant),
        "tsk": f"{sortable(letter.buried_at)}#{letter.id}",
        "ttl": to_ms(letter.buried_at + KEPT) // 1000,
    }


def _letter(item: Item, *, body: str) -> DeadLetter:
    return DeadLetter(
        id=item["pk"].removeprefix("DEAD#"),
        origin=Origin(item["origin"]),
        tenant=TenantId(item["tenant"]),
        body=body,
        attributes=item["attributes"],
        reason=item["reason"],
        buried_at=from_ms(item["buried"]),
        redrives=item["version"] - 1,
    )
