"""From ComfyUI's folder to asset storage, through the worker's disk."""

import asyncio
import mimetypes
import random
from collections.abc import Sequence
from time import monotonic

from comfyq.domain.errors import AssetsUnavailable
from comfyq.domain.job import Job
from comfyq.domain.output import Output, OutputKind, kind_of
from comfyq.ports.assets import Assets
from comfyq.ports.engine import Engine, Rendered
from comfyq.ports.spool import Spool, Spooled
from comfyq.services.beside import all_of
from comfyq.services.timing import Timing

OCTETS = "application/octet-stream"
EXTRA_TYPES = {".webp": "image/webp", ".flac": "audio/flac", ".opus": "audio/ogg"}


class Collector:
    """Stores what a prompt rendered, every file of every output node."""

    def __init__(self, *, engine: Engine, assets: Assets, spool: Spool, timing: Timing) -> None:
        self._engine = engine
        self._assets = assets
        self._spool = spool
        self._timing = timing

    async def collect(self, job: Job, rendered: Sequence[Rendered]) -> Sequence[Output]:
        """Fetch and store; returns when everything is durable.

        Raises:
            RenderedFileGone, EngineUnavailable: ComfyUI does not have a file any more.
            AssetsUnavailable: the storage has refused for ``upload_give_up_s``.
        """
        stores = [self._store(job, index, item) for index, item in enumerate(rendered)]
        return await all_of(stores)

    async def discard(self, outputs: Sequence[Output]) -> None:
        """Delete what no job refers to after all."""
        for output in outputs:
            if output.key:
                await self._assets.delete(output.key)

    async def _store(self, job: Job, index: int, item: Rendered) -> Output:
        if item.text is not None:
            return _text_output(item)
        spooled = await self._spool.save(
            f"{job.id}-{job.attempt}-{index}", self._engine.fetch(item)
        )
        output = _file_output(item, spooled, f"outputs/{job.id}/{job.attempt}/{index}")
        await self._put(output, spooled)
        await self._spool.discard(spooled)
        return output

    async def _put(self, output: Output, spooled: Spooled) -> None:
        """A job that rendered is not rendered again only because its upload failed."""
        pause_s, since = self._timing.backoff_s, monotonic()
        while True:
            try:
                await self._assets.put(output.key, spooled.path, content_type=output.content_type)
            except AssetsUnavailable:
                if monotonic() - since > self._timing.upload_give_up_s:
                    raise
                await asyncio.sleep(random.uniform(pause_s / 2, pause_s))
                pause_s = min(pause_s * 2, self._timing.backoff_most_s)
            else:
                return


def _text_output(item: Rendered) -> Output:
    text = item.text or ""
    return Output(
        node=item.node,
        filename=item.filename,
        kind=OutputKind.TEXT,
        content_type="text/plain; charset=utf-8",
        size=len(text.encode()),
        blake3="",
        key="",
        text=text,
    )


def _file_output(item: Rendered, spooled: Spooled, prefix: str) -> Output:
    return Output(
        node=item.node,
        filename=item.filename,
        kind=kind_of(item.filename),
        content_type=content_type_of(item.filename),
        size=spooled.size,
        blake3=spooled.blake3,
        key=f"{prefix}-{item.filename}",
    )


def content_type_of(filename: str) -> str:
    suffix = filename[filename.rfind(".") :].lower() if "." in filename else ""
    return EXTRA_TYPES.get(suffix) or mimetypes.guess_type(filename)[0] or OCTETS
