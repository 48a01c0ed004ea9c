from pathlib import Path

import pytest

from tests.e2e.faults.conftest import Record
from tests.e2e.faults.short_chaos import nothing_is_lost_and_nothing_twice


@pytest.mark.parametrize("backend", ["emulator"])
@pytest.mark.timeout(240)
def test_nothing_is_lost_and_nothing_twice(backend: str, workflows: Path, record: Record) -> None:
    nothing_is_lost_and_nothing_twice(backend, workflows, record)
