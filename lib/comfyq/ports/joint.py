"""Joint transactions on table and queue, on a backend that keeps both in one engine."""

from dataclasses import dataclass
from typing import Protocol

from comfyq.domain.caller import TenantId
from comfyq.domain.job import JobId
from comfyq.ports.queue import Delivery
from comfyq.ports.table import Put, Write


@dataclass(frozen=True, slots=True)
class Doorbell:
    """A message that the queue is to be sent."""

    job_id: JobId
    tenant: TenantId


@dataclass(frozen=True, slots=True)
class Instead:
    """What is written in place of a transaction's first write, if ``partition`` has no item whose
    sort key begins with ``prefix``."""

    partition: str
    prefix: str
    put: Put


class JointWrites(Protocol):
    """Change the table and its queue in one transaction.

    Backends without this port write first and then send or acknowledge; after a crash in between,
    the reaper repairs the difference. With it no such crash exists, and a job costs fewer
    transactions.
    """

    async def write(
        self,
        *writes: Write,
        ring: Doorbell | None = None,
        ack: Delivery | None = None,
        instead: Instead | None = None,
    ) -> bool:
        """Do the writes as ``Table.write`` does, send ``ring`` and delete ``ack``, or do nothing.

        A receipt that has lapsed is no error, as in ``Delivery.ack``. Returns whether ``instead``
        took the place of the first write; what the transaction sees decides that.

        Raises:
            ConditionFailed, TooLarge, TableUnavailable: as ``Table.write`` does.
        """
        ...
