"""Clients' keys of partner nodes, which ComfyUI calls paid services of others by.

A key is handed to the worker that runs the job and to nobody else: it is encrypted in an item of
its own, and erased by the write that ends the job. What opens it is in the job's item, and in the
setting COMFYQ_PARTNER_SECRET if there is one: a copy of the table alone then opens none.
"""

from collections.abc import Callable
from dataclasses import dataclass

from comfyq.domain.job import Job, JobId
from comfyq.domain.partner_key import PartnerKeyUnreadable
from comfyq.ports.access.cipher import SEAL_BYTES, BrokenSeal, Cipher
from comfyq.records.access.partner_keys import PartnerKeyRecords


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A key of partner nodes as it is stored: encrypted, apart from what opens it."""

    text: str
    seal: str


class PartnerKeys:
    def __init__(
        self,
        *,
        records: PartnerKeyRecords,
        cipher: Callable[[], Cipher],
        draw: Callable[[int], str],
    ) -> None:
        """``cipher`` is called by the first key, since few processes ever see one."""
        self._records = records
        self._cipher = cipher
        self._draw = draw

    def seal(self, key: str, job_id: JobId) -> SealedKey:
        """Encrypt the key of a new job."""
        seal = self._draw(SEAL_BYTES)
        return SealedKey(self._cipher().encrypt(key, seal=seal, about=job_id), seal)

    async def of(self, job: Job) -> str | None:
        """Return the key of a job that goes on; None if its client sent none.

        Raises:
            PartnerKeyUnreadable: it is not there any more, or was sealed by another secret.
        """
        if job.partner_seal is None:
            return None
        stored = await self._records.of(job.id)
        if stored is None:
            raise PartnerKeyUnreadable(
                "the job's key of partner nodes is not kept any more; submit its graph once more, "
                "with the key"
            )
        try:
            return self._cipher().decrypt(stored, seal=job.partner_seal, about=job.id)
        except BrokenSeal as broken:
            raise PartnerKeyUnreadable(
                "this worker cannot open the job's key of partner nodes: it needs the same "
                "COMFYQ_PARTNER_SECRET as the API"
            ) from broken
