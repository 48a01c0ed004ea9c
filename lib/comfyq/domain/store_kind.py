"""The kind of ComfyUI that a store's jobs are for: real or simulated, never both at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from comfyq.domain.job import WorkerId


class StoreKind(StrEnum):
    REAL = "real"  # for ever: a simulator never takes a job that was meant for a real ComfyUI
    SIMULATED = "simulated"  # until a real ComfyUI joins while no simulator works there


@dataclass(frozen=True, slots=True)
class JoinRefusal:
    """The reason for which a ComfyUI gets none of a store's jobs."""

    reason: str
    remedy: str  # for whoever brings the ComfyUI
    may_pass: bool = False  # nobody need do anything about it


def refusal(
    own: StoreKind,
    stored: StoreKind | None,
    *,
    simulators: Sequence[WorkerId] = (),
    silent: Sequence[WorkerId] = (),
) -> JoinRefusal | None:
    """Judge whether a ComfyUI of kind ``own`` may work for a store; None: it may.

    ``stored`` is the store's kind so far. ``simulators`` are live workers of simulators;
    ``silent`` are live workers whose ComfyUI has not answered yet.
    """
    if own is stored:
        return None
    if own is StoreKind.REAL and simulators:
        return JoinRefusal(
            f"simulators work on the jobs here ({', '.join(simulators)})",
            "stop them first, or take another data directory or table",
        )
    if own is StoreKind.SIMULATED and stored is StoreKind.REAL:
        return JoinRefusal(
            "the jobs here are for a real ComfyUI",
            "this one is a simulator: give it a data directory or table of its own",
        )
    if own is StoreKind.SIMULATED and silent:
        return JoinRefusal(
            f"the ComfyUI of {', '.join(silent)} has not answered yet, and may be a real one",
            "this one is a simulator, and waits",
            may_pass=True,
        )
    return None
