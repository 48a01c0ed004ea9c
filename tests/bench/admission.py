"""Measure the validation of a graph of 30 nodes while the catalogue is cached.

    python -m tests.bench.admission

Wanted: under 5 ms p50.
"""

import asyncio
import statistics
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

from comfyq.domain.errors import WorkflowNotFound
from comfyq.domain.graph.node_catalogue import NodeCatalogue, read_catalogue
from comfyq.domain.submission.request import Request
from comfyq.domain.workflow.workflow import Workflow
from comfyq.services.jobs.admission import Admission
from comfyui_simulator.catalogue import load_catalogue

ROUNDS = 1_000
WANTED_MS = 5.0
STAGES = 10  # each loads a LoRA and samples: with the ends, 30 nodes


class Cached:
    """A catalogue that has been read."""

    def __init__(self) -> None:
        info = load_catalogue().object_info({"image": [], "audio": []})
        self._catalogues = [read_catalogue(info)]

    async def known(self) -> Sequence[NodeCatalogue]:
        return self._catalogues


class NoWorkflows:
    def get(self, name: str) -> Workflow:
        raise WorkflowNotFound(name)

    def names(self) -> Sequence[str]:
        return ()

    def faults(self) -> Mapping[str, str]:
        return {}


def thirty_nodes() -> dict[str, Any]:
    """A checkpoint, prompts and a latent, sampled again and again behind more and more LoRAs."""
    graph: dict[str, Any] = {
        "checkpoint": _node("CheckpointLoaderSimple", ckpt_name="sd_xl_base_1.0.safetensors"),
        "prompt": _node("CLIPTextEncode", text="a fox", clip=["checkpoint", 1]),
        "negative": _node("CLIPTextEncode", text="", clip=["checkpoint", 1]),
        "latent-0": _node("EmptyLatentImage", width=1024, height=1024, batch_size=1),
        "model-0": _node("ModelSamplingSD3", model=["checkpoint", 0], shift=3.0),
        "decoded": _node("VAEDecode", samples=[f"latent-{STAGES}", 0], vae=["checkpoint", 2]),
        "saved": _node("SaveImage", images=["decoded", 0], filename_prefix="bench"),
        "scaled": _node("ImageInvert", image=["decoded", 0]),
        "again": _node("PreviewImage", images=["scaled", 0]),
        "spare": _node("RepeatLatentBatch", samples=["latent-0", 0], amount=1),
    }
    for stage in range(1, STAGES + 1):
        model = [f"model-{stage}", 0]
        graph[f"model-{stage}"] = _node(
            "LoraLoaderModelOnly",
            model=[f"model-{stage - 1}", 0],
            lora_name="tiny_sd15_lora.safetensors",
            strength_model=0.5,
        )
        graph[f"latent-{stage}"] = _sampler(model, [f"latent-{stage - 1}", 0])
    return graph


def _sampler(model: list[Any], latent: list[Any]) -> dict[str, Any]:
    return _node(
        "KSampler",
        model=model,
        latent_image=latent,
        positive=["prompt", 0],
        negative=["negative", 0],
        seed=1,
        steps=20,
        cfg=7.0,
        sampler_name="euler",
        scheduler="normal",
        denoise=1.0,
    )


def _node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


async def measure(rounds: int = ROUNDS) -> list[float]:
    """Milliseconds of each round."""
    admission = Admission(workflows=NoWorkflows(), catalogues=Cached(), draw_seed=lambda: 0)
    request = Request(graph=thirty_nodes())
    taken_ms = []
    for _ in range(rounds):
        begun = perf_counter()
        await admission.admit(request)
        taken_ms.append((perf_counter() - begun) * 1_000)
    return taken_ms


def main() -> None:
    assert len(thirty_nodes()) == 30
    cuts = statistics.quantiles(asyncio.run(measure()), n=100)
    print(f"validation of a 30-node graph: p50 {cuts[49]:.2f} ms, p95 {cuts[94]:.2f} ms")
    if cuts[49] > WANTED_MS:
        raise SystemExit(f"wanted under {WANTED_MS} ms p50")


if __name__ == "__main__":
    main()
