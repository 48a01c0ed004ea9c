"""From ComfyUI's folder to asset storage, through the worker's disk.

When storage has refused for too long, the job fails with the code ``storage-refused`` and its files
stay on the worker's disk as a parcel. ``services.resending`` sends it when storage answers again:
the job stays failed, since that is what its client was told, but from then on its outputs are
listed and can be downloaded like those of any other.
"""

import asyncio
import json
import mimetypes
import random
from collections.abc import Sequence
from time import monotonic

from comfyq import __version__
from comfyq.aio.logs import log
from comfyq.aio.tasks import all_of
from comfyq.domain.errors import AssetsUnavailable
from comfyq.domain.files.output import Output, OutputKind, kind_of
from comfyq.domain.job import Job
from comfyq.domain.submission.provenance import describe
from comfyq.domain.submission.spec import Spec
from comfyq.ports.assets import Assets
from comfyq.ports.engine import Engine, Rendered
from comfyq.ports.spool import Parcel, Spool, Spooled
from comfyq.services.worker.png_text import marked
from comfyq.services.worker.timing import Timing

OCTETS = "application/octet-stream"
EXTRA_TYPES = {".webp": "image/webp", ".flac": "audio/flac", ".opus": "audio/ogg"}


class OutputCollector:
    """Stores what a prompt rendered, every file of every output node."""

    def __init__(self, *, engine: Engine, assets: Assets, spool: Spool, timing: Timing) -> None:
        self._engine = engine
        self._assets = assets
        self._spool = spool
        self._timing = timing

    async def collect(
        self, job: Job, rendered: Sequence[Rendered], *, spec: Spec
    ) -> Sequence[Output]:
        """Fetch and store; returns when everything is durable.

        PNG files tell how they were made, unless ``spec`` was asked for without metadata.

        Raises:
            RenderedFileGone, EngineUnavailable: ComfyUI does not have a file any more.
            AssetsUnavailable: the storage has refused for ``upload_give_up_s``. The files are kept.
            OSError: the worker's disk is full.
        """
        held: list[Spooled] = []
        try:
            text = _metadata(job, spec)
            fetches = [self._fetch(job, at, item, held, text) for at, item in enumerate(rendered)]
            contents = await all_of(fetches)
            try:
                await all_of(self._put(output, spooled) for output, spooled in contents if spooled)
            except AssetsUnavailable:
                await self._keep(Parcel(job.id, job.attempt, contents), held)
                raise
        finally:
            for spooled in held:
                await self._spool.discard(spooled)
        return [output for output, _ in contents]

    async def discard(self, outputs: Sequence[Output]) -> None:
        """Delete what no job refers to after all; what storage does not delete now, stays."""
        for output in outputs:
            if output.key:
                try:
                    await self._assets.delete(output.key)
                except AssetsUnavailable as away:
                    log.warning("output_left", key=output.key, reason=str(away))

    async def _fetch(
        self, job: Job, index: int, item: Rendered, held: list[Spooled], metadata: str | None
    ) -> tuple[Output, Spooled | None]:
        """An output, and its file, which ``held`` gets as well."""
        if item.text is not None:
            return _text_output(item), None
        name = f"{job.id}-{job.attempt}-{index}"
        chunks = self._engine.fetch(item)
        if metadata is not None:
            chunks = marked(chunks, metadata)
        spooled = await self._spool.save(name, chunks)
        held.append(spooled)
        return _file_output(item, spooled, f"outputs/{job.id}/{job.attempt}/{index}"), spooled

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

    async def _keep(self, parcel: Parcel, held: list[Spooled]) -> None:
        """Noted before the job fails, so that a crash in between loses nothing."""
        try:
            is_kept = await self._spool.keep(parcel)
        except OSError as full:
            log.error("results_lost", job=parcel.job_id, reason=str(full))
            return
        held.clear()
        log.warning("results_kept" if is_kept else "results_lost", job=parcel.job_id)


def _metadata(job: Job, spec: Spec) -> str | None:
    return json.dumps(describe(job, spec, version=__version__)) if spec.metadata else None


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
