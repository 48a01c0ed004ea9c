"""For how long a receiver that hung is left alone."""

import pytest

from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.webhook.target import Receiver
from comfyq.services.notify.slow_receivers import MOST_SLOW, SPARED, SlowReceivers
from comfyq.testing.memory.clock import ManualClock

pytestmark = pytest.mark.anyio

OTHER = Receiver(DEFAULT_TENANT, "https://other.example:443")


async def test_a_clock_that_is_set_back_spares_no_receiver_for_longer() -> None:
    clock = ManualClock()
    slow, began = SlowReceivers(clock=clock), clock.now()

    async def hung() -> bool:
        clock.advance(5)
        return True

    hanging = [Receiver(DEFAULT_TENANT, f"https://{n}.example:443") for n in range(MOST_SLOW)]
    for each in hanging:
        await slow.timed(each, hung())
    assert slow.spared_until(hanging[-1]) == clock.now() + SPARED
    assert slow.tenant_spared_until(OTHER, since=clock.now()) is not None
    clock.advance(-3_600)
    assert slow.spared_until(hanging[-1]) is None
    assert slow.tenant_spared_until(OTHER, since=began) is None
