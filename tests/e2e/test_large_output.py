import pytest

from tests.bench.large import GIGABYTE, measure
from tests.fixtures.emulator import ENVIRONMENT

MOST_MB = 200.0  # of RSS, whatever the size of the file
SIZE = 2 * GIGABYTE


@pytest.mark.verify
@pytest.mark.timeout(600)
@pytest.mark.parametrize("backend", ["embedded", "emulator"])
def test_a_result_of_two_gigabytes_is_never_held_in_memory(backend: str) -> None:
    """From ComfyUI through the worker into storage; and out of it through the API, or by a link of
    the storage, to a client that finds every byte."""
    if backend == "emulator" and not ENVIRONMENT.exists():
        pytest.skip("the emulator is not installed: run make emulator")
    peaks = measure(SIZE, backend=backend)
    assert peaks.worker_mb < MOST_MB
    assert peaks.api_mb < MOST_MB
