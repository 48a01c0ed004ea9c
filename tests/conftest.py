import pytest

pytest_plugins = ["tests.fixtures.emulator", "tests.processes"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
