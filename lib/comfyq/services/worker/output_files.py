"""Copying outputs from ComfyUI's folders to asset storage, through the worker's disk.

If storage refuses for too long, the job fails with the code ``storage-refused`` and its files stay
on the worker's disk as a parcel. ``services.worker.output_retry`` stores it when storage answers
again: the job stays failed, because clients may have seen that, but from then on its outputs are
listed and can be downloaded like those of any other job.
"""

import asyncio
import json
import mimetypes
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import monotonic

from blake3 import blake3

from comfyq import __version__
from comfyq.aio.logs import log
from comfyq.aio.tasks import limited
from comfyq.domain.errors import AssetsUnavailable, TooManyOutputs
from comfyq.domain.files.job_paths import leads_elsewhere
from comfyq.domain.files.output import MAX_OUTPUTS, Output, OutputKind, kind_of
from comfyq.domain.job import Job
from comfyq.domain.submission.provenance import describe
from comfyq.domain.submission.spec import Spec
from comfyq.ports.assets import Assets
from comfyq.ports.engine import Engine, Rendered, RenderedFileGone
from comfyq.ports.spool import Parcel, Spool, Spooled
from comfyq.services.worker.failure_policy import OUTPUT_GONE, is_tried_again
from comfyq.services.worker.png_text import marked
from comfyq.services.worker.timing import Timing

SMALL_BYTES = 256  # of a text that is always stored in the job's record: a file's entry is as large
INLINE_BYTES = 8_000  # maximum size of a text that is stored in the job's own record
INLINE_BYTES_OF_ALL = 200_000  # maximum of all such texts of a job together, but for small ones
AT_ONCE = 32  # files that are fetched or stored concurrently
UNSAFE = re.compile(r"[^\w.() -]")  # characters replaced in the file name part of a key
LONGEST_NAME = 100  # characters of the file name in a key
PLAIN_TEXT = "text/plain; charset=utf-8"
OCTETS = "application/octet-stream"
TYPES = {  # the usual ones, and those that not every machine knows
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".mp4": "video/mp4",
    ".flac": "audio/flac",
    ".opus": "audio/ogg",
}


Content = tuple[Output, Spooled | None]
"""An output with its spooled file, None for a short text."""


@dataclass(frozen=True, slots=True)
class Gone:
    """An output of a node that ComfyUI does not serve."""

    node: str
    error: RenderedFileGone

    def __str__(self) -> str:
        return f"an output of node {self.node} is lost: {self.error}"


Fetched = Content | Gone | str
"""An output, or what a warning says of one that is lost."""


@dataclass(frozen=True, slots=True)
class CollectedOutputs:
    """The outputs of a job, and what could not be collected, in words."""

    outputs: Sequence[Output]
    lost: Sequence[str]


class OutputCollector:
    """Store every file of every output node of a prompt."""

    def __init__(self, *, engine: Engine, assets: Assets, spool: Spool, timing: Timing) -> None:
        self._engine = engine
        self._assets = assets
        self._spool = spool
        self._timing = timing

    async def collect(
        self, job: Job, rendered: Sequence[Rendered], *, spec: Spec
    ) -> CollectedOutputs:
        """Fetch and store all files; returns when they are durable.

        PNG files get a description of their making, unless ``spec`` has metadata switched off.

        Without a file that ComfyUI does not have, the others are delivered if rendering again is of
        no use, as it was of none before.

        Raises:
            RenderedFileGone: ComfyUI does not have a file any more that it saved for sure, and
                rendering again may help, or nothing else is there.
            EngineUnavailable: ComfyUI does not answer.
            AssetsUnavailable: storage has refused for ``upload_give_up_s``; the files are kept.
            TooManyOutputs: there are over MAX_OUTPUTS; nothing was stored.
            OSError: the worker's disk is full.
        """
        if len(rendered) > MAX_OUTPUTS:
            raise TooManyOutputs(
                f"the graph made {len(rendered)} outputs; a job may have at most {MAX_OUTPUTS}"
            )
        held: list[Spooled] = []
        foreign = [item for item in rendered if _is_foreign(job, item)]
        own = [item for item in rendered if not _is_foreign(job, item)]
        lost = [f"node {item.node} names a file of another job" for item in foreign]
        try:
            fetched = await self._fetch_all(job, own, held, _metadata(job, spec))
            contents, not_there = _divided(fetched)
            try:
                await self._put_all(contents)
            except AssetsUnavailable:
                await self._keep(Parcel(job.id, job.attempt, contents), held)
                raise
        finally:
            await limited(AT_ONCE, range(len(held)), lambda at: self._spool.discard(held[at]))
        return CollectedOutputs([output for output, _ in contents], [*lost, *not_there])

    async def discard(self, outputs: Sequence[Output]) -> None:
        """Delete files that no job refers to; a file that storage refuses to delete stays."""
        stored = [output.key for output in outputs if output.key]
        await limited(AT_ONCE, stored, self._delete)

    async def _delete(self, key: str) -> None:
        try:
            await self._assets.delete(key)
        except AssetsUnavailable as away:
            log.warning("output_undeleted", key=key, reason=str(away))

    async def _fetch_all(
        self, job: Job, rendered: Sequence[Rendered], held: list[Spooled], metadata: str | None
    ) -> Sequence[Fetched]:
        """Return every output with its spooled file, None for a short text, or a warning; each
        spooled file is also added to ``held``."""
        inline = _inline_texts(rendered)
        may_help = is_tried_again(job, OUTPUT_GONE)  # to render again

        async def fetch(index: int) -> Fetched:
            item = rendered[index]
            if index in inline:
                return _text_output(item), None
            named = item if item.text is None else replace(item, filename=f"text-{index}.txt")
            chunks = self._engine.fetch(item)
            if metadata is not None:
                chunks = marked(chunks, metadata)
            try:
                spooled = await self._spool.save(f"{job.id}-{job.attempt}-{index}", chunks)
            except RenderedFileGone as gone:
                if item.guessed:
                    return f"node {item.node} names {item.filename}, which ComfyUI does not have"
                if may_help and not gone.for_good:
                    raise
                return Gone(item.node, gone)
            held.append(spooled)
            return _file_output(named, spooled, f"outputs/{job.id}/{job.attempt}/{index}"), spooled

        fetched = await limited(AT_ONCE, range(len(rendered)), fetch)
        return [fetched[index] for index in range(len(rendered))]

    async def _put_all(self, contents: Sequence[tuple[Output, Spooled | None]]) -> None:
        files = {output.key: (output, spooled) for output, spooled in contents if spooled}
        await limited(AT_ONCE, files, lambda key: self._put(*files[key]))

    async def _put(self, output: Output, spooled: Spooled) -> None:
        """Store a file, trying again for ``upload_give_up_s``: rendering again costs far more."""
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
        """Keep a parcel on disk; done before the job fails, so that a crash loses nothing."""
        try:
            is_kept = await self._spool.keep(parcel)
        except OSError as full:
            log.error("results_lost", job=parcel.job_id, reason=str(full))
            return
        held.clear()
        log.warning("results_kept" if is_kept else "results_lost", job=parcel.job_id)


def _divided(fetched: Sequence[Fetched]) -> tuple[Sequence[Content], Sequence[str]]:
    """Return the outputs, and the warnings of those that are lost.

    Raises:
        RenderedFileGone: nothing but lost files is left.
    """
    contents = [each for each in fetched if isinstance(each, tuple)]
    gone = [each for each in fetched if isinstance(each, Gone)]
    if gone and not contents:
        raise gone[0].error
    return contents, [str(each) for each in fetched if not isinstance(each, tuple)]


def _is_foreign(job: Job, item: Rendered) -> bool:
    """Return whether a file is not the job's: a node may name one without having saved it."""
    if item.text is not None:
        return False
    filename = item.filename.replace("\\", "/").rpartition("/")[2]  # all that ComfyUI goes by
    return leads_elsewhere(job.id, item.folder, f"{item.subfolder}/{filename}")


def _metadata(job: Job, spec: Spec) -> str | None:
    return json.dumps(describe(job, spec, version=__version__)) if spec.metadata else None


def _inline_texts(rendered: Sequence[Rendered]) -> set[int]:
    """Return the indexes of the texts to store in the job's record, within the inline limits."""
    inline, room = set[int](), INLINE_BYTES_OF_ALL
    for index, item in enumerate(rendered):
        size = 0 if item.text is None else len(item.text.encode())
        if item.text is not None and (size <= SMALL_BYTES or size <= min(INLINE_BYTES, room)):
            inline.add(index)
            room -= size
    return inline


def _text_output(item: Rendered) -> Output:
    text = item.text or ""
    content = text.encode()
    return Output(
        node=item.node,
        filename=item.filename,
        kind=OutputKind.TEXT,
        content_type=PLAIN_TEXT,
        size=len(content),
        blake3=blake3(content).hexdigest(),
        key="",
        text=text,
    )


def _file_output(item: Rendered, spooled: Spooled, prefix: str) -> Output:
    name = UNSAFE.sub("_", item.filename)[-LONGEST_NAME:]
    is_text = item.text is not None
    return Output(
        node=item.node,
        filename=item.filename,
        kind=kind_of(item.filename),
        content_type=PLAIN_TEXT if is_text else content_type_of(item.filename),
        size=spooled.size,
        blake3=spooled.blake3,
        key=f"{prefix}-{name}",
    )


def content_type_of(filename: str) -> str:
    suffix = filename[filename.rfind(".") :].lower() if "." in filename else ""
    return TYPES.get(suffix) or mimetypes.guess_type(filename)[0] or OCTETS
