"""What a render tells of its place in ComfyUI's queue."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Turn:
    """Callbacks of a render about its place in ComfyUI's queue; each may be called repeatedly."""

    started: Callable[[], None]  # the prompt runs: another one may be queued behind it
    left: Callable[[], None]  # the prompt is out of ComfyUI
    # ComfyUI runs so many prompts of others before it
    delayed: Callable[[int], None] = lambda _: None
    # entered while input files are fetched, in which other prompts may go first
    preparing: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    # entered while models are fetched, in which other prompts do go first
    provisioning: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
