import pytest

import tests.effort  # noqa: F401 - registers a profile that the command line may name

pytest_plugins = ["tests.fixtures.emulator", "tests.processes"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
