"""The secret by which processes post to each other's sockets."""

from typing import NoReturn

import pytest

from comfyq.bootstrap.backends.sockets_secret import sockets_secret
from comfyq.domain.errors import NotifierUnavailable, TableUnavailable
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.table import MemoryTable

pytestmark = pytest.mark.anyio


async def test_processes_of_one_table_share_it_and_read_it_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = MemoryTable(clock=ManualClock())
    here, there = sockets_secret(table), sockets_secret(table)
    assert await here() == await there()
    assert len(await here()) == 64
    assert await sockets_secret(MemoryTable(clock=ManualClock()))() != await here()

    async def away(_: object) -> NoReturn:
        raise TableUnavailable("it was told to be away")

    monkeypatch.setattr(table, "get", away)
    assert await here() == await there()
    with pytest.raises(NotifierUnavailable):
        await sockets_secret(table)()
