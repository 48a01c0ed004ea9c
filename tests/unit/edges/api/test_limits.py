"""Every limit on what a client sends is a refusal that names it, and its setting if it has one."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
import pytest

from comfyq.domain.files.sources import MAX_URL_CHARS
from comfyq.domain.graph.graph import MAX_NODES
from comfyq.domain.submission.batch import MAX_REQUESTS
from comfyq.domain.workflow.raw_graph import MAX_GRAPH_BYTES, MAX_OVERRIDES
from comfyq.edges.api.bodies import MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_VALUES
from tests.api_lab import ApiLab

SAVE = {"class_type": "SaveImage", "inputs": {}}
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
BOMB = (  # the beginning of a PNG, which is all that is looked at
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (30_000).to_bytes(4) * 2 + b"\x08\x02\0\0\0" + b"\0" * 20
)
LIMITS: Mapping[str, Any] = {
    "COMFYQ_UPLOAD_MAX_BYTES": 100_000,
    "COMFYQ_UPLOADS_BYTES": 150_000,
    "COMFYQ_INPUT_MAX_FILES": 2,
    "COMFYQ_INPUT_MAX_TOTAL_BYTES": 50,
}
Ask = Callable[[ApiLab], httpx2.Response]


def generate(**body: Any) -> Ask:
    return lambda lab: lab.client.post("/generate", json=body)


def graph(**more: Any) -> Ask:
    return generate(graph={"9": SAVE}, **more)


def loaders(*images: str) -> Ask:
    nodes = {
        str(n): {"class_type": "LoadImage", "inputs": {"image": image}}
        for n, image in enumerate(images)
    }
    return generate(graph={**nodes, "9": SAVE})


def batch(**body: Any) -> Ask:
    return lambda lab: lab.client.post("/generate/batch", json=body)


def stored(size: int, *, declared: bool = True) -> Ask:
    content = b"x" * size
    chunks = iter([content])
    return lambda lab: lab.client.post("/assets", content=content if declared else chunks)


def second_upload(lab: ApiLab) -> httpx2.Response:
    assert stored(90_000)(lab).status_code == 201
    return lab.client.post("/assets", content=b"y" * 90_000)


CASES: dict[str, tuple[Ask, int, str]] = {
    "body": (generate(prompt="x" * MAX_BODY_BYTES), 413, f"larger than {MAX_BODY_BYTES} bytes"),
    "values": (generate(loras=[1] * MAX_VALUES * 2), 413, f"over {MAX_VALUES} values"),
    "head": (
        lambda lab: lab.client.get(f"/generate?cursor={'x' * MAX_HEAD_BYTES}"),
        431,
        f"over {MAX_HEAD_BYTES} bytes",
    ),
    "nodes": (
        generate(graph={str(n): SAVE for n in range(MAX_NODES + 1)}),
        413,
        f"graph: has {MAX_NODES + 1} nodes; the most is {MAX_NODES}",
    ),
    "graph": (
        generate(graph={"9": {**SAVE, "inputs": {"a": "x" * MAX_GRAPH_BYTES}}}),
        413,
        f"the most is {MAX_GRAPH_BYTES}",
    ),
    "overrides": (
        graph(overrides={f"9.{n}": 1 for n in range(MAX_OVERRIDES + 1)}),
        422,
        f"overrides: has over {MAX_OVERRIDES} entries",
    ),
    "override": (
        graph(overrides={"9.a": "x" * MAX_GRAPH_BYTES}),
        413,
        f"overrides: has {MAX_GRAPH_BYTES + 10} bytes; the most is {MAX_GRAPH_BYTES}",
    ),
    "text": (generate(prompt="x" * 100_000), 422, "prompt: has 100000 characters; the most is"),
    "pixels": (generate(width=100_000), 422, "width: is 100000; the most is"),
    "loras": (
        generate(prompt="a fox", loras=["a"] * 101),
        422,
        "loras: has 101 entries; the most is 100",
    ),
    "url": (
        loaders("https://h/" + "a" * MAX_URL_CHARS),
        422,
        f"characters; the most is {MAX_URL_CHARS}",
    ),
    "requests": (
        batch(requests=[{"prompt": "a fox"}] * (MAX_REQUESTS + 1)),
        422,
        f"{MAX_REQUESTS}",
    ),
    "product": (
        batch(product={"seed": list(range(30)), "steps": list(range(1, 31))}),
        422,
        f"`product` makes 900 requests; the most is {MAX_REQUESTS}",
    ),
    "upload": (
        stored(100_001),
        413,
        "the file has more than 100000 bytes (COMFYQ_UPLOAD_MAX_BYTES)",
    ),
    "upload, as declared": (
        stored(200_000),
        413,
        "a file may have 100000 (COMFYQ_UPLOAD_MAX_BYTES)",
    ),
    "announced upload": (
        lambda lab: lab.client.post(
            "/assets/uploads", json={"name": "a", "content_type": "a/b", "size_bytes": 100_001}
        ),
        413,
        "more than 100000 bytes (COMFYQ_UPLOAD_MAX_BYTES)",
    ),
    "uploads": (second_upload, 413, "the most is 150000 (COMFYQ_UPLOADS_BYTES)"),
    "pixels of an upload": (
        lambda lab: lab.client.post("/assets", content=BOMB),
        413,
        "the picture has 30000 x 30000 pixels; the most is 64000000 in all",
    ),
    "pixels of a data URI": (
        loaders(f"data:image/png;base64,{b64encode(BOMB).decode()}"),
        413,
        "the picture has 30000 x 30000 pixels; the most is 64000000 in all",
    ),
    "files": (
        loaders("https://h/a", "https://h/b", "https://h/c"),
        422,
        "the job has 3 of them, the most is 2 (COMFYQ_INPUT_MAX_FILES)",
    ),
    "bytes of files": (
        loaders(PIXEL, PIXEL.replace("R0lG", "R0lH")),
        422,
        "the most is 50 bytes (COMFYQ_INPUT_MAX_TOTAL_BYTES)",
    ),
}


@pytest.mark.parametrize("limit", CASES)
def test_a_limit_is_refused_by_its_name(limit: str) -> None:
    ask, status, words = CASES[limit]
    answer = ask(ApiLab(**LIMITS))
    problem = answer.json()
    assert answer.status_code == status, problem
    assert words in problem["detail"], problem["detail"][:500]
    assert problem["code"] != "internal-error"
