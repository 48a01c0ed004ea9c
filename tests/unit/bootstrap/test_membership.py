"""A ComfyUI that does not answer when its worker starts."""

import pytest

from comfyq.adapters.comfyui.engine import ComfyEngine
from comfyq.bootstrap.membership import admit
from comfyq.domain.job import WorkerId
from comfyq.records.store_kinds import StoreKindRecords
from comfyq.records.workers import WorkerRecords
from comfyq.services.worker.membership import Membership
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.table import MemoryTable
from tests.log_lines import logged

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no-such-host.invalid:8188"])
async def test_it_is_named_with_the_reason_in_words(url: str) -> None:
    clock = ManualClock()
    table = MemoryTable(clock=clock)
    workers = WorkerRecords(table, clock=clock, live_s=20)
    membership = Membership(WorkerId("w"), kinds=StoreKindRecords(table), workers=workers)
    with logged() as lines:
        async with ComfyEngine(url) as engine:
            await admit(membership, engine, url=url)
    [line] = lines
    assert (line["event"], line["log_level"], line["comfyui"]) == ("comfyui_away", "warning", url)
    assert line["reason"].startswith("ComfyUI does not answer")
    for sign in ("(", "<", "Error", "0x"):
        assert sign not in line["reason"]
