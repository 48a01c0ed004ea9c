from collections.abc import Sequence

from comfyq.domain.errors import TableUnavailable
from comfyq.ports.joint import Doorbell, Instead, JointWrites
from comfyq.ports.queue import Delivery
from comfyq.ports.table import Write
from comfyq.testing.faults.rules import Faults, Rule
from comfyq.testing.faults.table import described


class FaultyJointWrites:
    """Struck by the rules of the table's writes."""

    def __init__(self, joint: JointWrites, rules: Sequence[Rule]) -> None:
        self._joint = joint
        self._faults = Faults(rules, port="table", error=TableUnavailable)

    async def write(
        self,
        *writes: Write,
        ring: Doorbell | None = None,
        ack: Delivery | None = None,
        instead: Instead | None = None,
    ) -> bool:
        is_other = await self._faults.around(
            "write",
            described(writes),
            lambda: self._joint.write(*writes, ring=ring, ack=ack, instead=instead),
        )
        return bool(is_other)
