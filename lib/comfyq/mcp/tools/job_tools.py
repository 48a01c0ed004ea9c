"""The tools that are there whatever workflows there are: lists, and what is done with a job."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from mcp import types
from pydantic import BaseModel, ConfigDict, Field

from comfyq.mcp.content import JOB_SCHEMA
from comfyq.mcp.limits import CallLimits

MAX_LISTED = 50
LONGEST_WAIT_S = 600  # that is not refused; a call lasts no longer than its limit
DRAW = -1  # the seed that draws one

# More than ids have: what is none is told as such. It is repeated to nobody at any length.
MAX_ID_CHARS = 100

JobId = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS, description="The job's id.")]


class Arguments(BaseModel):
    """A tool's arguments: their schema, and the check of a call."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ListWorkflows(Arguments):
    """List the workflows that there are; each that is not broken is a tool of that name."""


class ListJobs(Arguments):
    """List your jobs, the newest first."""

    status: Literal["queued", "running", "completed", "failed", "canceled"] | None = None
    workflow: Annotated[str | None, Field(description="Only jobs of this workflow.")] = None
    limit: Annotated[int, Field(ge=1, le=MAX_LISTED)] = 10
    cursor: Annotated[
        str | None, Field(description="`next_cursor` of the page before, for the next one.")
    ] = None


class JobStatus(Arguments):
    """Show a job as it is now; of one that has completed, also what it made."""

    job_id: JobId
    wait_s: Annotated[
        int, Field(ge=0, le=LONGEST_WAIT_S, description="Wait so many seconds for its end.")
    ] = 0


class CancelJob(Arguments):
    """Cancel a job. Doing it again, or too late, is no error."""

    job_id: JobId


class Regenerate(Arguments):
    """Run a job again with the same values and a new seed, and answer with what it made."""

    job_id: JobId
    seed: Annotated[int, Field(ge=DRAW, description="-1 draws one.")] = DRAW


@dataclass(frozen=True, slots=True)
class JobTool:
    """A tool, and the type of what it takes."""

    name: str
    title: str
    takes: type[Arguments]
    reads: bool = False  # it changes nothing
    repeats: bool = True  # doing it again changes nothing more
    gives: dict[str, Any] | None = None  # schema of its result

    def described(self, limits: CallLimits) -> types.Tool:
        """Return the tool as clients are told of it."""
        schema = self.takes.model_json_schema()
        if waits := schema["properties"].get("wait_s"):
            waits["maximum"] = min(LONGEST_WAIT_S, int(limits.wait_s))
        return types.Tool(
            name=self.name,
            title=self.title,
            description=self.takes.__doc__,
            input_schema=schema,
            output_schema=self.gives,
            annotations=types.ToolAnnotations(
                read_only_hint=self.reads, destructive_hint=False, idempotent_hint=self.repeats
            ),
        )


JOB_TOOLS: Mapping[str, JobTool] = {
    tool.name: tool
    for tool in (
        JobTool("list_workflows", "List workflows", ListWorkflows, reads=True),
        JobTool("list_jobs", "List jobs", ListJobs, reads=True),
        JobTool("job_status", "Show a job", JobStatus, reads=True, gives=JOB_SCHEMA),
        JobTool("cancel_job", "Cancel a job", CancelJob, gives=JOB_SCHEMA),
        JobTool("regenerate", "Generate again", Regenerate, repeats=False, gives=JOB_SCHEMA),
    )
}
