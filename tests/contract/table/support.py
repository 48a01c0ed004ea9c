from typing import Any

import pytest

from comfyq.ports.table import ConditionFailed, Cursor, Delete, Item, Page, Put, Table
from comfyq.testing.memory.clock import ManualClock


def item(pk: str, sk: str = "META", **values: Any) -> dict[str, Any]:
    return {"pk": pk, "sk": sk, **values}


def in_s(clock: ManualClock, seconds: float) -> int:
    return int(clock.now().timestamp() + seconds)


async def refusal(table: Table, *writes: Put | Delete) -> dict[int, Item | None]:
    with pytest.raises(ConditionFailed) as refused:
        await table.write(*writes)
    return refused.value.found


async def pages(table: Table, index: str, partition: str, **query: Any) -> list[Page]:
    """All pages, each asked for with the cursor of the one before, sent through JSON's types."""
    pages = [await table.query(index, partition, **query)]
    while (cursor := pages[-1].cursor) is not None:
        pages.append(await table.query(index, partition, after=Cursor(*list(cursor)), **query))
    return pages


def sort_keys(pages: list[Page], name: str = "sk") -> list[str]:
    return [item[name] for page in pages for item in page.items]
