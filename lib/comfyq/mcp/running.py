"""A job from its submission to its end, for as long as a tool's call lasts."""

import asyncio
from contextlib import aclosing, suppress
from dataclasses import dataclass

import anyio

from comfyq.client.flows.following import has_ended
from comfyq.mcp.api import Api, ApiError, Json
from comfyq.mcp.progress import ProgressReports

CANCEL_S = 5.0  # for the server to be told
SUBMIT_S = 60.0


@dataclass(slots=True)
class Running:
    """Runs jobs for calls that last ``wait_s`` at most."""

    api: Api
    reports: ProgressReports
    wait_s: float
    canceled_job: str | None = None  # because its call was

    async def run(self, workflow: str, values: Json) -> Json:
        """Submit a job and return it as it has ended, or as it is after ``wait_s``.

        Where the call is canceled, so is the job. Raises ApiError.
        """
        # Shielded: of a job that was accepted, the id has to be known, to be able to cancel it.
        with anyio.move_on_after(SUBMIT_S, shield=True) as submitting:
            job = await self.api.submit(workflow, values)
        if submitting.cancelled_caught:
            raise ApiError(f"the server did not answer within {SUBMIT_S:.0f} s")
        try:
            return await self.ended(job["id"])
        except asyncio.CancelledError:
            with anyio.move_on_after(CANCEL_S, shield=True), suppress(ApiError):
                await self.api.cancel(job["id"])
                self.canceled_job = job["id"]
            raise

    async def ended(self, job_id: str) -> Json:
        """Follow a job and return it as it has ended, or as it is after ``wait_s``."""
        with anyio.move_on_after(self.wait_s):
            async with aclosing(self.api.follow(job_id)) as states:
                async for state in states:
                    await self.reports.tell(state)
                    if has_ended(state):
                        return state
        return await self.api.job(job_id)
