import pytest

from comfyq.domain.job import WorkerId
from comfyq.domain.store_kind import StoreKind, refusal

REAL, SIMULATED = StoreKind.REAL, StoreKind.SIMULATED
W = WorkerId("w")


@pytest.mark.parametrize(
    ("own", "stored", "simulators", "silent"),
    [
        (REAL, None, [], []),
        (REAL, None, [], [W]),
        (REAL, REAL, [], []),
        (REAL, SIMULATED, [], []),
        (SIMULATED, None, [], []),
        (SIMULATED, None, [W], []),
        (SIMULATED, SIMULATED, [W], [W]),
    ],
)
def test_it_may_join(
    own: StoreKind, stored: StoreKind | None, simulators: list[WorkerId], silent: list[WorkerId]
) -> None:
    assert refusal(own, stored, simulators=simulators, silent=silent) is None


@pytest.mark.parametrize(
    ("own", "stored", "simulators", "silent", "may_pass"),
    [
        (SIMULATED, REAL, [], [], False),
        (SIMULATED, REAL, [W], [W], False),
        (REAL, SIMULATED, [W], [], False),
        (REAL, None, [W], [], False),
        (SIMULATED, None, [], [W], True),
    ],
)
def test_it_may_not(
    own: StoreKind,
    stored: StoreKind | None,
    simulators: list[WorkerId],
    silent: list[WorkerId],
    may_pass: bool,
) -> None:
    why = refusal(own, stored, simulators=simulators, silent=silent)
    assert why is not None
    assert why.may_pass is may_pass
