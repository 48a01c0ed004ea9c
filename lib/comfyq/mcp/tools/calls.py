"""Calls of tools: each becomes calls of the API, and its answer a result."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from mcp import types
from pydantic import ValidationError

from comfyq.mcp.api import Api, ApiError, Json, NotFound
from comfyq.mcp.content import content_of, listed, refused, structured
from comfyq.mcp.limits import CallLimits
from comfyq.mcp.progress import ProgressReports
from comfyq.mcp.running import Running
from comfyq.mcp.tools.job_tools import (
    JOB_TOOLS,
    Arguments,
    CancelJob,
    JobStatus,
    ListJobs,
    ListWorkflows,
    Regenerate,
)
from comfyq.mcp.tools.workflow_tools import workflow_of

SHOWN_NAMES = 5  # of those that a tool does not take
SHOWN_CHARS = 100  # of a name that somebody made up: it is repeated to nobody at any length
SENTENCES = {"missing": "is missing", "extra_forbidden": "is not known here; leave it out"}
BEGINNING = re.compile("^(Input|String) should ")  # of what pydantic says
GRAPH = "graph"  # the workflow of jobs whose client sent a graph of its own


class BadArguments(ApiError):
    """A tool has no such arguments. What values a workflow does not take, the server says."""


class ToolCalls:
    """Performs one call of a tool."""

    def __init__(self, api: Api, reports: ProgressReports, limits: CallLimits) -> None:
        self._api = api
        self._reports = reports
        self._limits = limits
        self.canceled_job: str | None = None  # because the call was

    async def call(self, tool: str, values: Mapping[str, Any]) -> types.CallToolResult:
        """Do what a tool does; what is refused is a result as well, for the model to read."""
        try:
            if tool in JOB_TOOLS:
                return await self._own(_checked(tool, values))
            if len(tool) > SHOWN_CHARS:
                raise BadArguments(f"there is no tool {_short(tool)}")
            return await self._run(workflow_of(tool), values)
        except NotFound as error:
            return refused(error if tool in JOB_TOOLS else _no_tool(tool, error))
        except ApiError as error:
            return refused(error)

    async def _own(self, asked: Arguments) -> types.CallToolResult:
        match asked:
            case ListWorkflows():
                return await self._list_workflows()
            case ListJobs():
                return await self._list_jobs(asked)
            case JobStatus(job_id=job_id, wait_s=0):
                return await self._result(await self._api.job(job_id))
            case JobStatus(job_id=job_id, wait_s=wait_s):
                longest_s = min(wait_s, self._limits.wait_s)
                return await self._result(await self._running(longest_s).ended(job_id))
            case CancelJob(job_id=job_id):
                return await self._result(await self._api.cancel(job_id))
            case Regenerate():
                return await self._regenerate(asked)
            case _:
                raise AssertionError(f"{type(asked)} is of no tool")

    async def _run(self, workflow: str, values: Mapping[str, Any]) -> types.CallToolResult:
        await self._check_names(workflow, values)
        running = self._running(self._limits.wait_s)
        try:
            job = await running.run(workflow, values)
        finally:
            self.canceled_job = running.canceled_job
        return await self._result(job, is_error=job["status"] in ("failed", "canceled"))

    async def _check_names(self, workflow: str, values: Mapping[str, Any]) -> None:
        """Raise BadArguments for what the tool's schema does not have. The server would take
        some of it, as `webhook_url`: a text that leads a model astray could send results away."""
        takes = (await self._api.workflow(workflow))["parameters"]["properties"]
        if others := [name for name in values if name not in takes]:
            more = ", ".join(repr(_short(name)) for name in others[:SHOWN_NAMES])
            raise BadArguments(f"this tool takes no {more}; it takes {', '.join(takes)}")

    async def _list_workflows(self) -> types.CallToolResult:
        workflows = await self._api.workflows()
        lines = [_workflow_line(each) for each in workflows]
        return listed(lines, workflows=[dict(each) for each in workflows])

    async def _list_jobs(self, asked: ListJobs) -> types.CallToolResult:
        narrowed = asked.model_dump(exclude_none=True)
        page = await self._api.jobs({name: str(value) for name, value in narrowed.items()})
        jobs = [structured(each) for each in page["jobs"]]
        lines = [_job_line(each) for each in jobs]
        if page["next_cursor"]:
            lines.append(f"Older ones: cursor {page['next_cursor']}")
        return listed(lines, jobs=jobs, next_cursor=page["next_cursor"])

    async def _regenerate(self, asked: Regenerate) -> types.CallToolResult:
        earlier = await self._api.story(asked.job_id)
        if earlier["workflow"] == GRAPH:
            raise BadArguments("this job's graph is its client's own, and keeps its seeds")
        if earlier["seed"] is None:
            raise BadArguments(
                f"the workflow {earlier['workflow']} has no seed: it would make the same again"
            )
        return await self._run(earlier["workflow"], {**earlier["parameters"], "seed": asked.seed})

    def _running(self, wait_s: float) -> Running:
        return Running(self._api, self._reports, wait_s)

    async def _result(self, job: Json, *, is_error: bool = False) -> types.CallToolResult:
        """Return a job with what it made."""
        content = await content_of(job, self._api, inline_bytes=self._limits.inline_bytes)
        return types.CallToolResult(
            content=content, structured_content=structured(job), is_error=is_error
        )


def _workflow_line(workflow: Json) -> str:
    reasons = f" Not available: {'; '.join(workflow['reasons'])}." if workflow["reasons"] else ""
    return f"{workflow['name']}: {workflow['description']}{reasons}"


def _job_line(job: Json) -> str:
    title = f' "{job["title"]}"' if job.get("title") else ""
    reason = f": {job['error']}" if job.get("error") else ""
    return f"{job['job_id']} {job['workflow']}{title} {job['status']}{reason}"


def _no_tool(tool: str, error: NotFound) -> NotFound:
    """Return the error of a tool that there is not; the server suggests names of workflows."""
    meant = get_close_matches(tool, JOB_TOOLS, n=1)
    guess = f"; did you mean {meant[0]}?" if meant else "."
    return NotFound(f"there is no tool {tool}{guess} Of workflows: {error}")


def _checked(tool: str, values: Mapping[str, Any]) -> Arguments:
    try:
        return JOB_TOOLS[tool].takes.model_validate(values)
    except ValidationError as invalid:
        faults = "; ".join(
            f"{_short('.'.join(map(str, each['loc'])))}: {_told(each)}"
            for each in invalid.errors()[:SHOWN_NAMES]
        )
        raise BadArguments(f"{tool} was called wrongly: {faults}") from None


def _short(name: str) -> str:
    return name if len(name) <= SHOWN_CHARS else f"{name[:SHOWN_CHARS]}…"


def _told(fault: Mapping[str, Any]) -> str:
    """Say in words of our own what is wrong with an argument."""
    known = SENTENCES.get(fault["type"])
    return known or BEGINNING.sub("must ", str(fault["msg"]))
