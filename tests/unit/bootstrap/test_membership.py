"""What does not answer when a worker starts: its ComfyUI, or the table."""

import pytest

from comfyq.adapters.comfyui.engine import ComfyEngine
from comfyq.bootstrap.workers.membership import admit
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import WorkerId
from comfyq.edges.worker.engine_watch import EngineWatch
from comfyq.ports.table import Table
from comfyq.records.store_kinds import StoreKindRecords
from comfyq.records.workers import WorkerRecords
from comfyq.services.worker.membership import Membership
from comfyq.testing.faults.rules import Deed, Rule
from comfyq.testing.faults.table import FaultyTable
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.table import MemoryTable
from tests.log_lines import logged
from tests.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.anyio


def membership_over(table: Table) -> Membership:
    workers = WorkerRecords(table, clock=ManualClock(), live_s=20)
    return Membership(WorkerId("w"), kinds=StoreKindRecords(table), workers=workers)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no-such-host.invalid:8188"])
async def test_it_is_named_with_the_reason_in_words(url: str) -> None:
    with logged() as lines:
        async with ComfyEngine(url) as engine:
            await admit(membership_over(MemoryTable(clock=ManualClock())), engine, url=url)
    [line] = lines
    assert (line["event"], line["log_level"], line["comfyui"]) == ("comfyui_away", "warning", url)
    assert line["reason"].startswith("ComfyUI does not answer")
    for sign in ("(", "<", "Error", "0x"):
        assert sign not in line["reason"]


@pytest.mark.parametrize("do", ["raise", "delay"])
async def test_a_table_that_does_not_answer_is_named_and_no_comfyui(
    monkeypatch: pytest.MonkeyPatch, do: Deed
) -> None:
    monkeypatch.setattr("comfyq.bootstrap.workers.membership.FIRST_LOOK_S", 0.05)
    rule = Rule(port="table", call="get", do=do, times=0, seconds=60)
    table = FaultyTable(MemoryTable(clock=ManualClock()), [rule])
    with logged() as lines:
        await admit(membership_over(table), ScriptedEngine(), url="http://comfyui")
    [line] = lines
    assert (line["event"], line["log_level"]) == ("table_away", "warning")
    assert "http://comfyui" not in str(line)


async def test_a_table_that_falls_silent_later_is_named_too() -> None:
    is_away = iter([False, True, True])

    async def settle() -> None:
        if next(is_away):
            raise TableUnavailable("no answer")

    membership = membership_over(MemoryTable(clock=ManualClock()))
    watch = EngineWatch(ScriptedEngine(), membership=membership, before_claims=settle, period_s=1)
    with logged() as lines:
        for _ in range(3):
            await watch.look()
    assert [(line["event"], line["reason"]) for line in lines] == [("table_away", "no answer")]
