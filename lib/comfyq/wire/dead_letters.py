"""Dead letters as operators see them."""

from collections.abc import Mapping

from pydantic import BaseModel, Field

from comfyq.domain.dead_letter import DeadLetter, Origin, RedriveOutcome
from comfyq.wire.times import Time


class DeadLetterView(BaseModel):
    """A message that a queue gave up on."""

    id: str = Field(description="The first that its queue gave it; of a submission, its job's too.")
    origin: Origin = Field(description="`jobs`: a doorbell. `submissions`: a request.")
    body: str = Field(description="As it was sent.")
    attributes: Mapping[str, str]
    reason: str
    buried_at: Time
    redrives: int = Field(description="How often it was sent again.")

    @classmethod
    def of(cls, letter: DeadLetter) -> "DeadLetterView":
        return cls.model_validate(letter, from_attributes=True)


class DeadLetterList(BaseModel):
    """A page of dead letters, newest first."""

    letters: list[DeadLetterView]
    next_cursor: str | None = Field(description="`cursor` of the next page; null: there is none.")


class RedrivenView(BaseModel):
    letter: DeadLetterView
    outcome: RedriveOutcome = Field(
        description="`rung`: its job waits. `heard`: its job runs or has ended. `gone`: there is "
        "no such job. `accepted`: the request is a job now. `refused`: it failed again, and its "
        "job says why."
    )
