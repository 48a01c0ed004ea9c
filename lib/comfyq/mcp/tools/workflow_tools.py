"""One tool a workflow: its parameters are the tool's, and a call runs a job."""

import asyncio
from collections.abc import Mapping, Sequence

from mcp import types

from comfyq.mcp.api import Api, Json, NotFound
from comfyq.mcp.content import JOB_SCHEMA
from comfyq.mcp.tools.job_tools import JOB_TOOLS

BESIDE = "-workflow"
HOW = (
    "Runs a job on a GPU and answers with what it made. Values that are left out have good "
    "defaults. An input file is an http(s) URL, a data URI, or `asset:ID` of a file that the "
    "server has."
)


async def workflow_views(api: Api) -> Mapping[str, Json]:
    """Return by tool's name all that is known of each workflow that is served."""
    names = [each["name"] for each in await api.workflows() if not each["forbidden"]]
    views = await asyncio.gather(*(_view(api, name) for name in names))
    return {_tool_name(view["name"]): view for view in views if view is not None}


async def _view(api: Api, name: str) -> Json | None:
    """Return a workflow; None: it is broken, or gone meanwhile."""
    try:
        return await api.workflow(name)
    except NotFound:
        return None


def workflow_tools(views: Mapping[str, Json]) -> Sequence[types.Tool]:
    """Return the tools of workflows, as clients are told of them."""
    return [
        types.Tool(
            name=name,
            title=view["title"],
            description=f"{view['description']} {HOW}",
            input_schema=dict(view["parameters"]),
            output_schema=JOB_SCHEMA,
            annotations=types.ToolAnnotations(
                read_only_hint=False, destructive_hint=False, idempotent_hint=False
            ),
        )
        for name, view in views.items()
    ]


def workflow_of(tool: str) -> str:
    """Return the name of the workflow that a tool runs."""
    name = tool.removesuffix(BESIDE)
    return name if name in JOB_TOOLS else tool


def _tool_name(workflow: str) -> str:
    """Return a workflow's name, or one beside that of a tool which has it already."""
    return workflow + BESIDE if workflow in JOB_TOOLS else workflow
