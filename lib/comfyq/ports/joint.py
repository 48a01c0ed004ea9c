"""Joint transactions on table and queue, on a backend that keeps both in one engine."""

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
    """Change the table and its queue in one transaction.

    Backends without this port write first and then send or acknowledge; after a crash in between,
    the reaper repairs the difference. With it no such crash exists, and a job costs fewer
    transactions.
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
