from collections.abc import Iterator

import pytest

from tests.farm import Farm


@pytest.fixture
def farm() -> Iterator[Farm]:
    farm = Farm()
    yield farm
    farm.spool.close()
