import gc
import signal
from collections.abc import Iterator

import pytest

import tests.effort  # noqa: F401 - registers a profile that the command line may name

pytest_plugins = ["tests.fixtures.emulator", "tests.processes"]

PROPERTIES = "_properties.py"  # thousands of examples; traced, they take twice as long


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # so starts what a shell runs in the background; processes of tests would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave property tests out of the coverage: what they alone reach counts as not covered."""
    for item in items:
        if item.path.name.endswith(PROPERTIES):
            item.add_marker(pytest.mark.no_cover)


def pytest_collection_finish() -> None:
    """Take modules and tests, which stay to the end, out of the garbage collector's rounds: with
    thousands of tests each full one takes as long as hundreds of them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _own_profiles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the profiles of whoever runs the tests out of them."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        patched.delenv("COMFYQ_PROFILE", raising=False)
        yield


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
