"""The requests of a batch by how far they have come."""

from pydantic import BaseModel, Field


class BatchCounts(BaseModel):
    """The number of requests in each state."""

    queued: int = Field(0, description="Also those whose jobs are being stored.")
    running: int = 0
    completed: int = 0
    failed: int = 0
    canceled: int = 0
    refused: int = Field(0, description="Never became jobs.")
    gone: int = Field(0, description="Jobs that were deleted since, or that a retry is to make.")
