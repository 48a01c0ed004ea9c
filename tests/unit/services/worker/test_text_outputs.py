"""Texts that nodes show: in the job's record, or as files."""

import pytest

from comfyq.domain.job import JobStatus
from comfyq.ports.engine import Ended, Rendered, Started
from tests.farm import Farm
from tests.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("size", "number", "files"), [(200, 2_000, 0), (5_000, 50, 10), (9_000, 2, 2)]
)
async def test_small_texts_make_no_files(farm: Farm, size: int, number: int, files: int) -> None:
    """Thousands of files take a worker's disk and the storage many seconds."""
    texts = [Rendered("1", filename="", text=f"{index:0{size}}") for index in range(number)]
    job = await farm.submit()
    await farm.worker("w1", ScriptedEngine(Started(), Ended(texts))).run_once()
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED
    outputs = await farm.records.outputs(job.id)
    assert len(outputs) == number
    assert len(farm.assets.stored) == files
    shown = [each.text or farm.assets.stored[each.key].body.decode() for each in outputs]
    assert shown == [each.text for each in texts]
