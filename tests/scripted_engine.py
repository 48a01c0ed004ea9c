"""A ComfyUI that plays scripts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

from comfyq.domain.job.progress import Advance
from comfyq.ports.engine import (
    Ended,
    EngineEvent,
    EngineInfo,
    GraphRefused,
    Preview,
    Prompt,
    PromptId,
    PromptInterrupted,
    PromptLost,
    PromptState,
    Rendered,
    RenderedFileGone,
    Started,
)

IMAGE = Rendered(node="9", filename="a_00001_.png", subfolder="comfyq")
CLASSES: Mapping[str, Any] = {
    name: {"input": {"required": {}}, "output": [], "output_node": name == "SaveImage"}
    for name in ("KSampler", "SaveImage", "LoadImage", "LoadAudio")
}
STEP_TURNS = 20  # of the event loop: enough for what a worker stores meanwhile
HALF = Advance("3", step=1, max_steps=2)
RUN: tuple[EngineEvent, ...] = (Started(), HALF, Ended([IMAGE]))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a fake has no event to wait for
            await asyncio.sleep(0.001)


class PowerCut(BaseException):
    """The machine goes away: no ``except Exception`` runs, nothing more is written."""


class Never:
    """A step of a script at which nothing more is heard."""


Step = EngineEvent | BaseException | Never


class ScriptedEngine:
    """A ComfyUI that plays one script for each prompt, and remembers what was asked of it."""

    def __init__(self, *script: Step) -> None:
        self.script: Iterable[Step] = script or RUN
        self.states: dict[PromptId, PromptState] = {}
        self.submitted: list[Prompt] = []
        self.canceled: list[PromptId] = []
        self.uploaded: dict[str, bytes] = {}
        self.refuses: GraphRefused | None = None
        self.gone = False  # files are deleted before they are fetched
        self.catalogue = CLASSES
        self.picture = b""  # that it shows of whatever runs
        self.previewed = 0  # times that it was asked for one
        self.before_end: asyncio.Event | None = None  # a run ends no earlier

    async def submit(self, prompt: Prompt) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.submitted.append(prompt)
        self.states[prompt.id] = PromptState.PENDING

    async def follow(self, prompt_id: PromptId) -> AsyncIterator[EngineEvent]:
        if self.states.get(prompt_id, PromptState.ABSENT) is PromptState.ABSENT:
            raise PromptLost("never heard of it", started=False)
        for step in self.script:
            for _ in range(STEP_TURNS):
                await asyncio.sleep(0)
            if isinstance(step, Never):
                await self._wait_for_cancel(prompt_id)
                raise PromptInterrupted("interrupted")
            if isinstance(step, BaseException):
                raise step
            self.states[prompt_id] = PromptState.RUNNING
            if isinstance(step, Ended):
                if self.before_end is not None:
                    await self.before_end.wait()
                self.states[prompt_id] = PromptState.ENDED
            yield step

    def preview(self, prompt_id: PromptId) -> Preview | None:
        self.previewed += 1
        return Preview(prompt_id, "3", "image/jpeg", self.picture) if self.picture else None

    async def find(self, prompt_id: PromptId) -> PromptState:
        return self.states.get(prompt_id, PromptState.ABSENT)

    async def cancel(self, prompt_id: PromptId) -> bool:
        self.canceled.append(prompt_id)
        self.states.pop(prompt_id, None)
        return True

    async def fetch(self, rendered: Rendered) -> AsyncIterator[bytes]:
        if self.gone:
            raise RenderedFileGone(rendered.filename)
        if rendered.text is not None:
            yield rendered.text.encode()
            return
        yield b"pixels of " + rendered.filename.encode()

    async def upload(
        self, name: str, content: bytes | AsyncIterator[bytes], *, subfolder: str = ""
    ) -> str:
        if not isinstance(content, bytes):
            content = b"".join([chunk async for chunk in content])
        self.uploaded[name] = content
        return name

    async def object_info(self) -> Mapping[str, Any]:
        return self.catalogue

    async def info(self) -> EngineInfo:
        return EngineInfo(version="0.33.0", devices=("cpu",), simulated=True)

    async def _wait_for_cancel(self, prompt_id: PromptId) -> None:
        await until(lambda: prompt_id in self.canceled)
