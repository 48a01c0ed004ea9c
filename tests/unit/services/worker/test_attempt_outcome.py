"""Attempts that end by what no ComfyUI raised: refusals of ports, and defects."""

import errno
from collections.abc import Callable
from typing import Any

import pytest

from comfyq.domain.errors import TooContended, TooLarge, TooManyOutputs
from comfyq.domain.files.output import MAX_OUTPUTS
from comfyq.domain.job import Job, JobStatus
from comfyq.ports.engine import Ended, GraphRefused, NodeError, Rendered, Started
from comfyq.ports.table import MAX_ITEM_BYTES, Put, Write
from tests.farm import Farm
from tests.log_lines import logged
from tests.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.anyio


def files(count: int) -> list[Rendered]:
    return [Rendered(node="9", filename=f"a_{index:05d}_.png") for index in range(count)]


def texts(*lengths: int) -> list[Rendered]:
    return [Rendered(node="9", filename="", text="x" * length) for length in lengths]


async def ended(farm: Farm, engine: ScriptedEngine) -> Job:
    """Run one job, with a minute between its attempts, until it ends."""
    job = await farm.submit()
    worker = farm.worker("w1", engine)
    for _ in range(30):
        await worker.run_once()
        job = await farm.records.get(job.id)
        if job.status.terminal:
            return job
        assert job.lease is None, "an attempt that raised holds its lease no more"
        farm.clock.advance(60)
        await farm.reaper.reap()
    raise AssertionError(f"it goes on and on: {job}")


@pytest.mark.parametrize("count", [500, 1_600])
async def test_many_outputs_complete_in_one_attempt(farm: Farm, count: int) -> None:
    job = await ended(farm, ScriptedEngine(Started(), Ended(files(count))))
    outputs = await farm.records.outputs(job.id)
    assert (job.status, job.attempt, len(outputs)) == (JobStatus.SUCCEEDED, 1, count)
    assert {output.key for output in outputs} == set(farm.assets.stored)


async def test_more_outputs_than_are_kept_fail_at_once_and_say_how_many(farm: Farm) -> None:
    job = await ended(farm, ScriptedEngine(Started(), Ended(files(MAX_OUTPUTS + 1))))
    assert job.error is not None
    assert (job.error.code, job.attempt) == ("too-many-outputs", 1)
    assert job.error.message == "the graph made 10001 outputs; a job may have at most 10000"
    assert farm.assets.stored == {}


@pytest.mark.parametrize("length", [400_000, 500_000, 3_000_000])
async def test_a_long_text_becomes_a_file(farm: Farm, length: int) -> None:
    job = await ended(farm, ScriptedEngine(Started(), Ended(texts(20, length))))
    short, long = await farm.records.outputs(job.id)
    assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 1)
    assert (short.text, short.key) == ("x" * 20, "")
    assert (long.text, long.size, long.filename) == (None, length, "text-1.txt")
    assert long.content_type == short.content_type == "text/plain; charset=utf-8"
    assert farm.assets.stored[long.key].body == b"x" * length


async def test_many_short_texts_are_in_the_job_only_as_far_as_there_is_room(farm: Farm) -> None:
    job = await ended(farm, ScriptedEngine(Started(), Ended(texts(*[5_000] * 100))))
    outputs = await farm.records.outputs(job.id)
    assert len(outputs) == 100
    assert sum(output.text is not None for output in outputs) == 40


async def test_a_name_that_no_storage_takes_is_not_part_of_the_key(farm: Farm) -> None:
    odd = Rendered(node="9", filename="\0\n" + "long" * 200 + ".png")
    job = await ended(farm, ScriptedEngine(Started(), Ended([odd])))
    [output] = await farm.records.outputs(job.id)
    assert output.filename == odd.filename
    assert output.key.startswith(f"outputs/{job.id}/1/0-")
    assert output.key.endswith("long.png")
    assert len(output.key.rpartition("/")[2]) <= 110


Patch = Callable[[Callable[[], BaseException]], None]


@pytest.fixture
def refusing(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> Patch:
    """Make the table refuse every write that has a job succeed."""

    def patch(error: Callable[[], BaseException]) -> None:
        write = farm.table.write

        async def refuse(*writes: Write, synced: bool = True) -> None:
            puts = [each.item for each in writes if isinstance(each, Put)]
            if any(item.get("status") == "succeeded" for item in puts):
                raise error()
            await write(*writes)

        monkeypatch.setattr(farm.table, "write", refuse)

    return patch


@pytest.mark.parametrize("error", [TooLarge("400000 bytes"), TooManyOutputs("10001 outputs")])
async def test_a_permanent_refusal_fails_the_job_at_once(
    farm: Farm, refusing: Patch, error: Any
) -> None:
    refusing(lambda: error)
    job = await ended(farm, ScriptedEngine())
    assert job.error is not None
    assert (job.error.code, job.error.message) == (error.code, str(error))
    assert (job.status, job.attempt) == (JobStatus.FAILED, 1)
    assert farm.assets.stored == {}, "nobody refers to its files"


async def test_what_may_pass_is_tried_again_and_its_last_reason_is_told(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def contended(*_: object) -> None:
        raise TooContended("written by others 12 times in a row")

    monkeypatch.setattr(farm.records, "spec", contended)
    job = await ended(farm, ScriptedEngine())
    assert job.error is not None
    assert (job.error.code, job.attempt) == ("too-many-attempts", 20)
    assert job.error.message.endswith("without a result; written by others 12 times in a row")


def failing(where: str) -> Exception:
    raise {"first": ZeroDivisionError, "second": KeyError}[where](where)


async def test_the_same_defect_twice_ends_the_job_and_names_the_log(
    farm: Farm, refusing: Patch
) -> None:
    refusing(lambda: failing("first"))
    with logged() as logs:
        job = await ended(farm, ScriptedEngine())
    assert job.error is not None
    assert (job.error.code, job.attempt, job.failures) == ("internal", 2, 2)
    lines = [line for line in logs if line["event"] == "defect"]
    assert [(line["job"], line["attempt"]) for line in lines] == [(job.id, 1), (job.id, 2)]
    [log_id] = {line["log_id"] for line in lines}
    assert job.error.message == (
        f"a defect of comfyq (ZeroDivisionError); see {log_id} in its worker's log"
    )
    first, second = await farm.records.attempts(job.id)
    assert (first.verdict, first.reason) == ("failed", job.error.message)
    assert second.reason == job.error.message
    assert farm.assets.stored == {}


async def test_a_defect_that_does_not_come_again_costs_one_attempt(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await farm.submit()
    worker = farm.worker("w1")
    with monkeypatch.context() as patch:
        patch.setattr(worker.executor, "_attempt", lambda *_: 1 / 0)
        await worker.run_once()
    waiting = await farm.records.get(job.id)
    assert (waiting.status, waiting.lease, waiting.failures) == (JobStatus.QUEUED, None, 1)
    farm.clock.advance(farm.timing.retry_s + 1)
    await worker.run_once()
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED


async def test_different_defects_end_the_job_after_as_many_as_failures_may_be(
    farm: Farm, refusing: Patch
) -> None:
    kinds = iter(["first", "second"] * 10)
    refusing(lambda: failing(next(kinds)))
    job = await ended(farm, ScriptedEngine())
    assert job.error is not None
    assert (job.error.code, job.attempt) == ("internal", job.limits.max_attempts)


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.EILSEQ])
async def test_a_name_that_the_system_refuses_is_no_full_disk(
    farm: Farm, refusing: Patch, number: int
) -> None:
    refusing(lambda: OSError(number, "refused"))
    job = await ended(farm, ScriptedEngine())
    assert job.error is not None
    assert (job.error.code, job.attempt) == ("internal", 2)


async def test_a_reason_of_any_size_and_messages_can_be_stored(farm: Farm) -> None:
    engine = ScriptedEngine()
    names = tuple("n" * 1_000 for _ in range(50))
    wrong = NodeError("9" * 5_000, "Loader", "\ud800 is not in the list", names)
    engine.refuses = GraphRefused("refused " + "x" * MAX_ITEM_BYTES, [wrong] * 500)
    job = await ended(farm, engine)
    assert job.error is not None
    assert (job.error.code, job.attempt) == ("invalid-graph", 1)
    assert job.error.message.startswith("refused x")
    assert job.error.details[0].startswith("Loader (999")


async def test_a_job_that_was_deleted_while_it_ran_is_left_alone(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await farm.submit()
    worker = farm.worker("w1")
    note = farm.reuse.note

    async def deleted_meanwhile(*args: Any) -> None:
        await farm.records.remove(await farm.records.get(job.id))
        await note(*args)

    monkeypatch.setattr(farm.reuse, "note", deleted_meanwhile)
    await worker.run_once()
    assert farm.assets.stored == {}
