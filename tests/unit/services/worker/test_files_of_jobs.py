"""The files of a job in ComfyUI's folders, as a worker really names them: no other job's graph may
name one, whether clients sign in or not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from comfyq.adapters.filesystem.folders import ComfyFolders
from comfyq.domain.errors import InvalidGraph
from comfyq.domain.submission.admission import graph_check
from comfyq.domain.submission.node_rules import NodeRules
from comfyq.domain.submission.request import Request
from comfyq.services.worker.disk_cleanup import DiskCleanup
from tests.farm import Farm
from tests.unit.services.worker.test_input_files import URL, png, spec

pytestmark = pytest.mark.anyio

PREVIEW = "ComfyUI_temp_abcde_00001_.png"  # as ComfyUI's PreviewImage names all previews


async def names_of_a_job(farm: Farm, *, inputs: str | None, folder: Path) -> dict[str, str]:
    """Run a job with a file; return the names of what it has in each of ComfyUI's folders."""
    farm.fetcher.pages[URL] = [png("red")]
    sent = spec()
    graph = {**sent.graph, "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "a"}}}
    await farm.submit(spec=type(sent)(graph=graph, parameters={}, inputs=sent.inputs))
    cleanup = DiskCleanup(folders=ComfyFolders(folder), inputs=inputs) if inputs else None
    worker = farm.worker("w", disk_cleanup=cleanup)
    await worker.run_once()
    [prompt] = worker.engine.submitted
    [uploaded] = worker.engine.uploaded
    prefix = prompt.graph["9"]["inputs"]["filename_prefix"]
    placed = f"{inputs}/{uploaded}" if inputs else uploaded
    return {"input": placed, "output": f"{prefix}_00001_.png", "temp": PREVIEW}


def spellings(folder: str, name: str) -> Iterator[str]:
    """Yield ways by which ComfyUI's loaders would find a file."""
    for written in (name, f"./{name}", f"x/../{name}", name.replace("/", "\\"), name.upper()):
        yield f"{written} [{folder}]"
        yield f"{written}[{folder}] "
    yield f"../{folder}/{name}"
    yield f"../../ComfyUI/{folder}/{name}"
    yield f"/srv/ComfyUI/{folder}/{name}"
    if folder == "input":
        yield name
    if folder == "output":
        yield f"{name.rpartition('/')[0]} [output]"  # the folder of all that it made


def graphs(text: str) -> Iterator[dict[str, Any]]:
    """Yield graphs that load a file, by its name or one that they put together."""
    loading = {"class_type": "LoadImage", "inputs": {"image": text}}
    yield {"1": loading}
    yield {"1": {"class_type": "LoadImageOutput", "inputs": {"image": text}}}
    yield {"1": {"class_type": "LoadImage", "inputs": {"image": ["2", 0]}}} | {
        "2": {"class_type": "PrimitiveString", "inputs": {"value": text}}
    }
    half = len(text) // 2
    joined = {"string_a": text[:half], "string_b": text[half:], "delimiter": ""}
    yield {"1": {"class_type": "LoadImage", "inputs": {"image": ["2", 0]}}} | {
        "2": {"class_type": "StringConcatenate", "inputs": joined}
    }


@pytest.mark.parametrize("inputs", [None, "comfyq/w"], ids=["side by side", "in a subfolder"])
@pytest.mark.parametrize("rules", [NodeRules(), NodeRules(own_files_only=True)])
async def test_no_graph_names_a_file_of_another_job(
    farm: Farm, rules: NodeRules, inputs: str | None, tmp_path: Path
) -> None:
    names = await names_of_a_job(farm, inputs=inputs, folder=tmp_path)
    tried = 0
    for folder, name in names.items():
        for text in spellings(folder, name):
            for graph in graphs(text):
                tried += 1
                with pytest.raises(InvalidGraph) as refused:
                    graph_check(Request(workflow="", values={}, graph=graph), rules=rules)(None)
                assert refused.value.fields, (text, graph)
    assert tried > 100


@pytest.mark.parametrize("text", ["example.png", "mine/a.png [output]", "clipspace/a.png [input]"])
async def test_what_is_no_jobs_may_be_named_where_nobody_signs_in(text: str) -> None:
    request = Request(
        workflow="",
        values={},
        graph={"1": {"class_type": "LoadImage", "inputs": {"image": text}}},
    )
    assert graph_check(request, rules=NodeRules())(None).workflow == "graph"
    with pytest.raises(InvalidGraph, match="its own files alone") as refused:
        graph_check(request, rules=NodeRules(own_files_only=True))(None)
    assert "COMFYQ_NODES does not name LoadImage" in str(refused.value)
