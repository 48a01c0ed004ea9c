"""Downloads by signed links: the link is the only credential that a client needs."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Protocol

from comfyq.aio.chunks import once
from comfyq.domain.errors import OutputNotFound
from comfyq.domain.files.output import Output
from comfyq.domain.job import JobId
from comfyq.ports.assets import Assets
from comfyq.records.jobs import JobRecords
from comfyq.services.files.signed_links import SignedLinks

STORAGE_LINK_S = 3_600  # lifetime of the storage's own link that a redirect leads to


class Stored(Protocol):
    """A file in asset storage, or an output that is text and has no file there."""

    @property
    def key(self) -> str: ...

    @property
    def filename(self) -> str: ...

    @property
    def content_type(self) -> str: ...


class Downloads:
    def __init__(
        self,
        *,
        records: JobRecords,
        assets: Assets,
        links: Callable[[], Awaitable[SignedLinks]],
    ) -> None:
        self._records = records
        self._assets = assets
        self._links = links

    async def find(self, job_id: JobId, index: int, query: Mapping[str, str]) -> Output:
        """Return the output that a link names.

        Raises:
            BadSignature: ``query`` is not signed by this server, or has expired.
            OutputNotFound: the job or its file was deleted.
        """
        links = await self._links()
        links.verify(job_id, index, query)
        page = await self._records.output_page(job_id, start=index, end=index + 1)
        if not page.outputs:
            raise OutputNotFound(f"job {job_id} has no output {index}")
        return page.outputs[0]

    async def link(self, file: Stored) -> str | None:
        """Return a URL at which the storage itself serves the file; None if it has no URLs."""
        if not file.key:
            return None
        return await self._assets.link(
            file.key,
            expires_s=STORAGE_LINK_S,
            content_type=file.content_type,
            filename=file.filename,
        )

    def read(self, file: Stored, start: int, end: int) -> AsyncIterator[bytes]:
        """Stream the bytes ``start`` to ``end`` (exclusive); OutputNotFound is raised at the first
        chunk."""
        if isinstance(file, Output) and file.text is not None:
            return once(file.text.encode()[start:end])
        return self._assets.read(file.key, start=start, end=end)
