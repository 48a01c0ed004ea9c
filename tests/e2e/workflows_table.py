"""Runs every shipped workflow on a real ComfyUI and writes the table of what ran.

    export COMFYQ_TEST_COMFYUI_URL=http://127.0.0.1:8188
    python -m tests.e2e.workflows_table docs/workflows.md

Small sizes and few steps: what is shown is that the graph runs, not that its pictures are good.
Where a model is not there, the graph is held against the catalogue of a ComfyUI that has it.
"""

import asyncio
import os
import sys
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

from comfyq.adapters.comfyui.engine import ComfyEngine
from comfyq.adapters.filesystem.workflows import FolderWorkflows
from comfyq.domain.errors import InvalidParameters
from comfyq.domain.files.inputs import InputFile
from comfyq.domain.graph.graph import Input, NewGraph, set_input
from comfyq.domain.graph.node_catalogue import NodeCatalogue, read_catalogue
from comfyq.domain.graph.validation import validate
from comfyq.domain.workflow.workflow import Model, Workflow
from comfyq.ports.engine import Ended, Prompt, PromptId
from comfyui_simulator.catalogue import load_catalogue

URL = "COMFYQ_TEST_COMFYUI_URL"
WORKFLOWS = Path(__file__).parents[2] / "workflows"
SMALL: Mapping[str, Any] = {
    "width": 64,
    "height": 64,
    "frames": 5,
    "seconds": 1.0,
    "steps": 2,
    "hires_steps": 2,
    "switch_step": 1,
}
HEADER = """\
# Workflows

Each has a form in `/docs`, its own endpoint `POST /workflows/NAME/generate`, and a description
with JSON Schema, sample and models under `GET /workflows/NAME`. Their fields:
[workflow parameters](reference/parameters.md). A workflow of your own:
[write a workflow](how-to/workflow.md).

`make workflows` runs them on a real ComfyUI with small random-weight models, at 64 pixels and two
steps, and writes this table. Where no such model can be made, the graph is validated against the
catalogue (`/object_info`) of ComfyUI 0.3.75 instead.

"""
COLUMNS = """\
| workflow | what it does | here | seconds |
|---|---|---|---:|
"""
MODELS = """
## Models

Real file names, below ComfyUI's `models`, and where people get them.

| file | folder | for | note |
|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Row:
    workflow: Workflow
    verdict: str
    seconds: float | None = None

    def __str__(self) -> str:
        seconds = "" if self.seconds is None else f"{self.seconds:.1f}"
        cells = (f"`{self.workflow.name}`", self.workflow.description, self.verdict, seconds)
        return f"| {' | '.join(cells)} |\n"


class NotHere(Exception):
    """This ComfyUI has not what the workflow needs."""


async def main(document: str | None = None) -> None:
    url = os.getenv(URL)
    if not url:
        raise SystemExit(f"{URL} names no ComfyUI; `make comfyui` prepares one")
    workflows = FolderWorkflows(WORKFLOWS)
    async with ComfyEngine(url) as engine:
        there = read_catalogue(await engine.object_info())
        rows = [await row_of(workflows.get(name), engine, there) for name in workflows.names()]
    table = "".join(map(str, rows))
    whole = HEADER + COLUMNS + table + MODELS + models_of(workflows)
    if document is not None:
        Path(document).write_text(whole, encoding="utf-8")
    sys.stdout.write(whole)


def models_of(workflows: FolderWorkflows) -> str:
    users: dict[Model, list[str]] = {}
    for name in workflows.names():
        for model in workflows.get(name).models:
            users.setdefault(model, []).append(f"`{name}`")
    lines = (
        f"| [{model.file}]({model.url}) | `{model.folder}` | {', '.join(names)} | {model.note} |\n"
        for model, names in users.items()
    )
    return "".join(lines)


async def row_of(workflow: Workflow, engine: ComfyEngine, there: NodeCatalogue) -> Row:
    try:
        graph, files = bound(workflow, there)
    except NotHere:
        everything = load_catalogue().object_info({"image": [], "audio": []})
        bound(workflow, read_catalogue(everything))
        return Row(workflow, "validated")
    begun = monotonic()
    for file in files:
        name = await engine.upload(f"{uuid4()}.png", b64decode(file.source.partition(",")[2]))
        set_input(graph, Input(file.node, file.input), name)
    await run(engine, graph)
    return Row(workflow, "**ran**", monotonic() - begun)


def bound(workflow: Workflow, catalogue: NodeCatalogue) -> tuple[NewGraph, tuple[InputFile, ...]]:
    """Raises NotHere."""
    on = workflow.on(catalogue)
    small = {name: value for name, value in SMALL.items() if name in workflow.parameters}
    try:
        resolved = on.resolve(
            {
                **workflow.sample,
                **small,
                **({"seed": None} if "seed" in workflow.parameters else {}),
            },
            draw_seed=draw,
        )
    except InvalidParameters as missing:
        raise NotHere from missing
    verdict = validate(on.bind(resolved.parameters), catalogue)
    if {error.kind for error in verdict.errors} == {"value_not_in_list"}:
        raise NotHere(str(verdict.errors))
    if not verdict.valid:
        raise SystemExit(f"{workflow.name}: {verdict.errors}")
    return verdict.graph, on.inputs(resolved.parameters)


async def run(engine: ComfyEngine, graph: NewGraph) -> None:
    prompt = Prompt(PromptId(str(uuid4())), graph, {})
    await engine.submit(prompt)
    async for event in engine.follow(prompt.id):
        if isinstance(event, Ended):
            for rendered in event.rendered:
                content = b"".join([chunk async for chunk in engine.fetch(rendered)])
                assert content, f"{rendered.filename} is empty"
            assert event.rendered, "it made nothing"


def draw() -> int:
    return uuid4().int % 2**53


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
