"""Titles of jobs: how a prompt begins, wherever it stands."""

from typing import Any

import pytest

from comfyq.domain.graph.graph import MAX_NODES
from comfyq.domain.submission.title import MAX_CHARS, title_of


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


SAMPLED = {
    "1": node("CLIPTextEncode", text="blurry", clip=["9", 1]),
    "2": node("CLIPTextEncode", text=["4", 0], clip=["9", 1]),
    "3": node("KSampler", negative=["1", 0], positive=["5", 0], seed=1),
    "4": node("PrimitiveStringMultiline", value="an owl\nat night"),
    "5": node("ControlNetApplyAdvanced", negative=["1", 0], positive=["2", 0]),
    "9": node("CheckpointLoaderSimple", ckpt_name="a.safetensors"),
}
GUIDED = {
    "1": node("CLIPTextEncodeFlux", clip_l="", t5xxl="a heron", guidance=3.5),
    "2": node("FluxGuidance", conditioning=["1", 0]),
    "3": node("BasicGuider", conditioning=["2", 0], model=["9", 0]),
}
ROUND = {"1": node("KSampler", positive=["2", 0]), "2": node("A", text=["2", 0], a=["1", 0])}
# each leads to all of the others
TANGLED = {
    str(n): node("A", positive=["0", 0], **{f"i{m}": [str(m), 0] for m in range(20)})
    for n in range(MAX_NODES)
}


@pytest.mark.parametrize(
    ("parameters", "graph", "title"),
    [
        ({"prompt": " a  fox\n in \x00snow\ud800 ", "seed": 1}, SAMPLED, "a fox in snow"),
        ({"prompt": "ab " * 99}, {}, "ab " * 21 + "…"),
        ({"prompt": "é" * MAX_CHARS}, {}, "é" * MAX_CHARS),
        ({"prompt": " \n"}, SAMPLED, None),
        ({"prompt": 5}, SAMPLED, None),
        ({"image": "asset:x"}, SAMPLED, None),
        ({}, SAMPLED, "an owl at night"),
        ({}, GUIDED, "a heron"),
        ({}, ROUND, None),
        ({}, TANGLED, None),
        ({}, {"1": node("KSampler", positive=["nowhere", 0])}, None),
        ({}, {"1": node("SaveImage", text="x")}, None),
    ],
)
def test_a_title_is_how_the_prompt_begins(
    parameters: dict[str, Any], graph: dict[str, Any], title: str | None
) -> None:
    assert title_of(parameters, graph) == title
