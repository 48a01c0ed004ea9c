import pytest

pytest_plugins = ["tests.fixtures.emulator"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
