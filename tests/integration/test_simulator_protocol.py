"""The simulator does what ComfyUI 0.3.75 was recorded doing, and ComfyUI still does it.

The recordings are made by `tests/data/comfyui/record.py`.
"""

import os
from collections.abc import AsyncIterator

import pytest

from comfyui_simulator import GENERATIONS, Simulator, SimulatorSettings
from tests.data.comfyui.cases import CASES, play
from tests.data.comfyui.normal import as_lines, normal_tape
from tests.data.comfyui.tape import Json, recorded

pytestmark = pytest.mark.anyio

# The newer generation says these in words of its own; see the unit tests of validation.
REWORDED = ("NoSuchNode", "class_type property")


@pytest.fixture(params=GENERATIONS)
async def simulator(request: pytest.FixtureRequest) -> AsyncIterator[Simulator]:
    settings = SimulatorSettings(generation=request.param, step_s=0.001, preview_px=64)
    async with Simulator(settings) as started:
        yield started


@pytest.mark.parametrize("case", CASES)
async def test_the_simulator_behaves_as_recorded(simulator: Simulator, case: str) -> None:
    tape = await play(simulator.url, case)
    actual = normal_tape(tape.answers, tape.events)
    expected = recorded(case)
    if simulator.settings.generation != "0.3.75":
        actual, expected = without_rewording(actual, expected)
    assert as_lines(actual) == as_lines(expected)


@pytest.mark.comfyui
@pytest.mark.parametrize("case", CASES)
async def test_comfyui_behaves_as_recorded(comfyui_url: str, case: str) -> None:
    tape = await play(comfyui_url, case)
    assert as_lines(normal_tape(tape.answers, tape.events)) == as_lines(recorded(case))


@pytest.fixture
def comfyui_url() -> str:
    url = os.getenv("COMFYQ_TEST_COMFYUI_URL")
    if not url:
        pytest.skip("COMFYQ_TEST_COMFYUI_URL is not set: no real ComfyUI to compare with")
    return url.rstrip("/")


def without_rewording(actual: list[Json], expected: list[Json]) -> tuple[list[Json], list[Json]]:
    """Both without the lines whose words differ between the generations."""
    assert len(actual) == len(expected)
    kept = [
        (ours, theirs)
        for ours, theirs in zip(actual, expected, strict=True)
        if not any(word in str(theirs) for word in REWORDED)
    ]
    return [ours for ours, _ in kept], [theirs for _, theirs in kept]
