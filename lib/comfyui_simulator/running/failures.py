"""Failures of an execution, in ComfyUI's own words."""

from dataclasses import dataclass

EXIT_STATUS = 70  # of a ComfyUI that a prompt has ended

OOM_TIPS = (
    "This error means you ran out of memory on your GPU.\n\n"
    "TIPS: If the workflow worked before you might have accidentally set the batch_size to a "
    "large number."
)


@dataclass
class NodeFailure(Exception):
    """A node raised; `tips` is what ComfyUI adds on a line of its own."""

    exception_type: str
    message: str
    tips: str = ""

    def __str__(self) -> str:
        return self.message


class Interrupted(Exception):
    """The execution was interrupted on request."""


class ExecutorDied(Exception):
    """A node's exception ended ComfyUI's only worker thread: no prompt will ever run again."""


def out_of_memory(message: str) -> NodeFailure:
    return NodeFailure("torch.OutOfMemoryError", message, OOM_TIPS)


def device_fault() -> NodeFailure:
    """The CUDA context is broken."""
    return NodeFailure(
        "torch.AcceleratorError",
        "CUDA error: an illegal memory access was encountered\n"
        "CUDA kernel errors might be asynchronously reported at some other API call, so the "
        "stacktrace below might be incorrect.",
    )


def named(error: Exception) -> NodeFailure:
    """Convert any exception to a node's failure."""
    if isinstance(error, NodeFailure):
        return error
    kind = type(error)
    name = kind.__qualname__
    qualified = name if kind.__module__ == "builtins" else f"{kind.__module__}.{name}"
    return NodeFailure(qualified, str(error))
