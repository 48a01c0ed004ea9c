"""The port to ComfyUI.

A *prompt* is ComfyUI's word for a submitted graph; comfyq chooses its id. Events of a prompt are
hints, and its end is certain only by Ended or an exception: then ComfyUI's history was read.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NewType, Protocol

from comfyq.domain.job.preview import SmallPicture
from comfyq.domain.job.progress import Advance

PromptId = NewType("PromptId", str)  # a UUID

MARK = "comfyq"  # a key of the extra data of every prompt that comfyq submits

MAX_PREVIEW_BYTES = 48_000  # in base64 64,000 characters: its frame is below 64 KiB


@dataclass(frozen=True, slots=True)
class Prompt:
    """A graph on its way into ComfyUI."""

    id: PromptId
    graph: Mapping[str, Any]  # API format, bound
    extra_data: Mapping[str, Any]  # kept by ComfyUI beside the graph; under MARK: job, attempt
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)  # more of it, not shown


class PromptState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    ENDED = "ended"  # in history, however it ended
    ABSENT = "absent"  # never came, was deleted while pending, or ComfyUI was restarted


@dataclass(frozen=True, slots=True)
class Delayed:
    """So many prompts in ComfyUI's queue come before this one that comfyq did not submit."""

    foreign: int


@dataclass(frozen=True, slots=True)
class Started:
    """ComfyUI has begun to execute the prompt."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A file in one of ComfyUI's folders, or a text that a node showed."""

    node: str
    filename: str
    subfolder: str = ""
    folder: str = "output"  # output, temp or input
    text: str | None = None  # a text output; then there is no file
    guessed: bool = False  # named by a bare path, at which there may be nothing


@dataclass(frozen=True, slots=True)
class Ended:
    """The prompt succeeded; these are the files of every output node, in the order of nodes.

    ``lost`` says of every other result what it is, in words for the client.
    """

    rendered: Sequence[Rendered]
    lost: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """A picture of what the running node has so far, as ComfyUI made it."""

    prompt_id: PromptId
    node: str
    content_type: str
    image: bytes


EngineEvent = Delayed | Started | Advance | Ended


@dataclass(frozen=True, slots=True)
class EngineInfo:
    version: str  # ComfyUI's
    devices: tuple[str, ...]
    simulated: bool


class EngineError(Exception):
    """Base of the errors that end a prompt."""


class EngineUnavailable(EngineError):
    """ComfyUI does not answer."""


class EngineLeft(EngineUnavailable):
    """ComfyUI stopped answering while it ran ``prompt``: it ended, hangs, or is out of reach."""

    def __init__(self, message: str, *, prompt: PromptId) -> None:
        super().__init__(message)
        self.prompt = prompt


class EngineNotListening(EngineUnavailable):
    """Nothing listens at ComfyUI's address: its process has ended, or has just begun."""


@dataclass(frozen=True, slots=True)
class NodeError:
    """An error of one node, found by ComfyUI's validation or raised by the node."""

    node: str
    class_type: str
    message: str
    details: tuple[str, ...] = ()  # a line each; where a name was wrong, the names that exist


class GraphRefused(EngineError):
    """ComfyUI will not run the graph, or only a part of it. Trying again is of no use."""

    def __init__(self, message: str, errors: Sequence[NodeError] = ()) -> None:
        super().__init__(message)
        self.errors = tuple(errors)


class NodeFailed(EngineError):
    """A node raised while it ran."""

    def __init__(self, error: NodeError, *, exception_type: str) -> None:
        super().__init__(f"{error.class_type} ({error.node}): {exception_type}: {error.message}")
        self.error = error
        self.exception_type = exception_type


class OutOfMemory(NodeFailed):
    """The device's memory did not suffice; after ``free`` another try may pass."""


class DeviceFault(NodeFailed):
    """The GPU itself failed (a CUDA error); nothing runs on it before ComfyUI is restarted."""


class PromptInterrupted(EngineError):
    """The prompt was interrupted, by us or by somebody else at ComfyUI."""


class PromptLost(EngineError):
    """ComfyUI does not know the prompt any more: ComfyUI was restarted, or the prompt deleted."""

    def __init__(self, message: str, *, started: bool) -> None:
        super().__init__(message)
        self.started = started


class ResultsUnreadable(EngineError):
    """The prompt is out of the queue, and ComfyUI fails to show its history entry alone."""


class RenderedFileGone(EngineError):
    """History names a file that ComfyUI does not serve; ``for_good``: it never will, under that
    name, so that rendering it again is of no use."""

    def __init__(self, message: str, *, for_good: bool = False) -> None:
        super().__init__(message)
        self.for_good = for_good


class Engine(Protocol):
    """One ComfyUI. Raises EngineUnavailable from every method where it does not answer."""

    async def submit(self, prompt: Prompt) -> None:
        """Queue a prompt; returns when ComfyUI has it.

        Raises:
            GraphRefused: ComfyUI refused the graph or a part of it; none of it runs.
        """
        ...

    def follow(self, prompt_id: PromptId) -> AsyncIterator[EngineEvent]:
        """Reports on a queued, running or ended prompt until Ended, which is the last.

        A follower that joins late gets Started first if it has started. Nothing is lost with the
        socket: history is asked now and then, and at the end. Of a prompt that waits for long,
        Delayed says whenever the number of foreign prompts before it is seen to have changed.

        Raises:
            NodeFailed, OutOfMemory, DeviceFault, PromptInterrupted, PromptLost, ResultsUnreadable.
        """
        ...

    def preview(self, prompt_id: PromptId) -> Preview | None:
        """Return the newest preview of a prompt that is being followed; None if none came since the
        last call. ComfyUI makes previews of samplers, if it is asked to."""
        ...

    async def find(self, prompt_id: PromptId) -> PromptState: ...

    async def cancel(self, prompt_id: PromptId) -> bool:
        """Delete a pending prompt or interrupt a running one; never touches another.

        Returns True if the prompt was seen to be out of ComfyUI's queue.
        """
        ...

    def fetch(self, rendered: Rendered) -> AsyncIterator[bytes]:
        """A rendered file's bytes, in chunks.

        Raises:
            RenderedFileGone: it is not there any more.
        """
        ...

    async def info(self) -> EngineInfo: ...


class PreviewScaler(Protocol):
    """Bring previews to a size that a frame has room for."""

    async def scaled(self, image: bytes) -> SmallPicture | None:
        """Return a picture of MAX_PREVIEW_BYTES at most; None if ``image`` is none that can be
        read. Custom nodes send anything."""
        ...
