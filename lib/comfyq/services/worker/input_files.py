"""Placing a job's input files into ComfyUI's input folder, from storage or the web, checked.

Files are named by their content's hash: files of two jobs never collide, and a file that is used
again has the same name.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from blake3 import blake3

from comfyq.domain.errors import (
    AssetNotFound,
    DomainError,
    InputInvalid,
    InputRefused,
    InputUnavailable,
    OutputNotFound,
)
from comfyq.domain.files.asset import Asset, AssetId
from comfyq.domain.files.inputs import InputFile, InputLimits
from comfyq.domain.files.media_types import HEAD_BYTES, PICTURES, picture_suffix, suffix_of
from comfyq.domain.files.output import Output
from comfyq.domain.files.sources import asset_id_of
from comfyq.domain.graph.graph import Input, copied, set_input
from comfyq.domain.job import Job
from comfyq.domain.submission.spec import Spec
from comfyq.ports.assets import Assets
from comfyq.ports.engine import EngineUnavailable
from comfyq.ports.inputs import Fetcher, InputFolder, Pictures
from comfyq.services.files.job_files import JobFiles
from comfyq.services.worker.disk_cleanup import DiskCleanup
from comfyq.services.worker.input_budget import InputBudget

NAME_CHARS = 32  # of the hash: 128 bits
CHUNK_BYTES = 256 * 1024
AGAIN_S = 1.0  # before a failed fetch is repeated


class InputFailed(Exception):
    """One of the job's files cannot be used; ``refused`` says why."""

    def __init__(self, file: InputFile, refused: InputRefused) -> None:
        super().__init__(f"{file.parameter or file.input}: {refused}")
        self.file, self.refused = file, refused


class InputPreparer:
    def __init__(
        self,
        *,
        folder: InputFolder,
        fetcher: Fetcher,
        pictures: Pictures,
        files: JobFiles,
        assets: Assets,
        limits: InputLimits,
        disk_cleanup: DiskCleanup | None = None,
        again_s: float = AGAIN_S,
    ) -> None:
        self._folder = folder
        self._fetcher = fetcher
        self._pictures = pictures
        self._files = files
        self._assets = assets
        self._limits = limits
        self._disk_cleanup = disk_cleanup  # None: files stay where they are put
        self._again_s = again_s

    async def prepare(self, job: Job, spec: Spec) -> Spec:
        """Upload the files to ComfyUI; return the spec with their names in its graph.

        Raises:
            InputFailed: a file cannot be fetched, has the wrong content, its address is forbidden,
                or the files are over their limits; another attempt would fail too.
            EngineUnavailable, AssetsUnavailable, TableUnavailable.
        """
        if not spec.inputs:
            return spec
        graph, file = copied(spec.graph), spec.inputs[0]
        names: dict[InputFile, str] = {}  # one source may go to several places
        budget = InputBudget(self._limits)
        try:
            async with budget.timeout:
                for file in spec.inputs:
                    wanted = replace(file, parameter="", node="", input="")
                    if wanted not in names:
                        names[wanted] = await self._name(job, file, budget)
                    set_input(graph, Input(file.node, file.input), names[wanted])
        except TimeoutError:
            if not budget.timeout.expired():
                raise
            late = (
                f"the input files of the job were not fetched within {self._limits.max_s:g} s "
                "(COMFYQ_INPUT_MAX_S)"
            )
            raise InputFailed(file, InputUnavailable(late)) from None
        return replace(spec, graph=graph)

    async def _name(self, job: Job, file: InputFile, budget: InputBudget) -> str:
        try:
            asset_id = asset_id_of(file.source)
            if asset_id is not None and file.kind not in PICTURES:
                return await self._passed_on(job, file, asset_id, budget)
            content = await self._content(job, file)
            budget.spend(len(content))
            content, suffix = await self._checked(content, file, budget)
            name = f"comfyq-{blake3(content).hexdigest()[:NAME_CHARS]}{suffix}"
            return await self._placed(job, name, _chunks(content))
        except InputRefused as refused:
            raise InputFailed(file, refused) from refused

    async def _passed_on(
        self, job: Job, file: InputFile, asset_id: AssetId, budget: InputBudget
    ) -> str:
        """Give a stored file to ComfyUI while it is read: it may be larger than memory."""
        stored = await self._file(job, asset_id)
        budget.spend(stored.size)
        async with _closed(self._assets.read(stored.key)) as chunks:
            reading = _Reading(chunks)
            try:
                head = await anext(reading.chunks, b"")
                suffix = _suffix_of(file, head)
                name = f"comfyq-{(stored.blake3 or asset_id)[:NAME_CHARS]}{suffix}"
                return await self._placed(job, name, _with_head(head, reading.chunks))
            except OutputNotFound as missing:
                raise _no_asset(asset_id) from missing
            except EngineUnavailable as broken:
                if reading.failure is None:
                    raise
                # The request to ComfyUI broke because there was nothing more to send.
                is_gone = isinstance(reading.failure, OutputNotFound)
                raise (_no_asset(asset_id) if is_gone else reading.failure) from broken

    async def _placed(self, job: Job, name: str, content: AsyncIterator[bytes]) -> str:
        """Store a file in ComfyUI's folder; return the name that graphs must use."""
        if self._disk_cleanup is None:
            return await self._folder.upload(name, content)
        self._disk_cleanup.uses(job, name)
        return await self._folder.upload(name, content, subfolder=self._disk_cleanup.inputs)

    async def _content(self, job: Job, file: InputFile) -> bytes:
        asset_id = asset_id_of(file.source)
        if asset_id is not None:
            return await self._picture(job, asset_id)
        try:
            return await self._fetched(job, file)
        except InputUnavailable as away:
            if not away.passing:
                raise
        await asyncio.sleep(self._again_s)
        return await self._fetched(job, file)

    async def _fetched(self, job: Job, file: InputFile) -> bytes:
        most = self._limits.max_bytes
        return await self._fetcher.fetch(
            file.source, tenant=job.tenant, kind=file.kind, max_bytes=most
        )

    async def _file(self, job: Job, asset_id: AssetId) -> Asset | Output:
        try:
            return await self._files.find(job.tenant, asset_id)
        except AssetNotFound as missing:
            raise _no_asset(asset_id) from missing

    async def _picture(self, job: Job, asset_id: AssetId) -> bytes:
        """Read a stored picture, which is decoded as a whole."""
        stored = await self._file(job, asset_id)
        if stored.size > self._limits.max_bytes:
            raise InputInvalid(
                f"the picture is larger than {self._limits.max_bytes} bytes "
                "(COMFYQ_INPUT_MAX_BYTES)"
            )
        try:
            return b"".join([chunk async for chunk in self._assets.read(stored.key)])
        except OutputNotFound as missing:
            raise _no_asset(asset_id) from missing

    async def _checked(
        self, content: bytes, file: InputFile, budget: InputBudget
    ) -> tuple[bytes, str]:
        """Return the content for ComfyUI, and the suffix of its file name."""
        if file.kind in PICTURES:
            budget.stop_time()  # other jobs' pictures may come first
            try:
                picture = await self._pictures.prepare(content, file, begins=budget.count_time)
            finally:
                budget.count_time()
            return picture, picture_suffix(picture)
        return content, _suffix_of(file, content)


def _suffix_of(file: InputFile, content: bytes) -> str:
    """Return the suffix of a file that is no picture; raises InputInvalid if it is none."""
    suffix = suffix_of(file.kind, content[:HEAD_BYTES])
    if suffix is None:
        raise InputInvalid(f"the file is no {file.kind} of a known format")
    return suffix


def _no_asset(asset_id: AssetId) -> InputUnavailable:
    return InputUnavailable(f"there is no asset {asset_id}")


class _Reading:
    """A stored file that is being read, and why that ended too early, if it did: whoever sends the
    file on may hide it."""

    def __init__(self, stored: AsyncIterator[bytes]) -> None:
        self.failure: DomainError | None = None
        self.chunks = self._noted(stored)

    async def _noted(self, stored: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            async for chunk in stored:
                yield chunk
        except DomainError as failure:
            self.failure = failure
            raise


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), CHUNK_BYTES):
        yield content[at : at + CHUNK_BYTES]


@asynccontextmanager
async def _closed(chunks: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    """Close an open file, or a connection to the storage, however the context ends."""
    try:
        yield chunks
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()


async def _with_head(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for chunk in rest:
        yield chunk
