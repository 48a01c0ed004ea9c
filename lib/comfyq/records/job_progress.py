"""The progress of a job in its hot item."""

from typing import Any

from comfyq.domain.job.progress import Progress, Provisioning
from comfyq.ports.table import Item

MILLIONTHS = 1_000_000


def progress_values(progress: Progress) -> dict[str, Any]:
    at = progress.provisioning
    return {
        "fraction": round(progress.fraction * MILLIONTHS),
        "step": progress.step or None,
        "max_steps": progress.max_steps or None,
        "message": progress.message,
        "node": progress.node,
        "nodes_done": progress.nodes_done or None,
        "nodes_total": progress.nodes_total or None,
        "provisioning": None if at is None else _numbers(at),
    }


def progress_of(item: Item) -> Progress:
    provisioning = item.get("provisioning")
    return Progress(
        fraction=item["fraction"] / MILLIONTHS,
        step=item.get("step", 0),
        max_steps=item.get("max_steps", 0),
        message=item.get("message"),
        node=item.get("node"),
        nodes_done=item.get("nodes_done", 0),
        nodes_total=item.get("nodes_total", 0),
        provisioning=None if provisioning is None else Provisioning(*provisioning),
    )


def _numbers(at: Provisioning) -> list[int]:
    return [at.done, at.total] if at.eta_s is None else [at.done, at.total, at.eta_s]
