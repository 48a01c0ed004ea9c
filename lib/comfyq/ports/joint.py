"""Table and queue in one engine: what one transaction can change in both."""

from dataclasses import dataclass
from typing import Protocol

from comfyq.domain.caller import TenantId
from comfyq.domain.job import JobId
from comfyq.ports.queue import Delivery
from comfyq.ports.table import Write


@dataclass(frozen=True, slots=True)
class Doorbell:
    """A message that the queue is to be sent."""

    job_id: JobId
    tenant: TenantId


class JointWrites(Protocol):
    """Change the table and its queue together, where one engine keeps both.

    Backends without it write first and send, or acknowledge, afterwards: what is lost in between
    the reaper makes good. With it nothing is lost in between, and a job costs fewer transactions.
    """

    async def write(
        self, *writes: Write, ring: Doorbell | None = None, ack: Delivery | None = None
    ) -> None:
        """Do the writes as ``Table.write`` does, send ``ring`` and delete ``ack``, or do nothing.

        A receipt that has lapsed is no error, as in ``Delivery.ack``.

        Raises:
            ConditionFailed, TooLarge, TableUnavailable: as ``Table.write`` does.
        """
        ...
