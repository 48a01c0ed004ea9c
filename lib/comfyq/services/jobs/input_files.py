"""The input files of a request, stored or checked before its job is stored.

A data URI becomes an asset, which keeps the job's record small. An asset that the request names
must exist. Both are kept for as long as the job may take, also where the tenant's retention is
shorter. So is an earlier job whose output it names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from comfyq.aio.chunks import once
from comfyq.domain.caller import Caller
from comfyq.domain.errors import AssetNotFound, FieldError, InvalidParameters
from comfyq.domain.files.asset import Asset, AssetId
from comfyq.domain.files.inputs import InputFile, InputLimits
from comfyq.domain.files.media_types import PICTURES
from comfyq.domain.files.output import Output
from comfyq.domain.files.sources import (
    ASSET,
    BadSource,
    asset_id_of,
    check_source,
    is_data,
    read_data_uri,
    shown_source,
)
from comfyq.domain.job import JobId
from comfyq.domain.submission.spec import Spec
from comfyq.services.files.job_outputs import JobOutputs
from comfyq.services.files.uploads import Uploads

# Settings, which refusals name.
MAX_BYTES = "COMFYQ_INPUT_MAX_BYTES"
MAX_FILES, MAX_TOTAL = "COMFYQ_INPUT_MAX_FILES", "COMFYQ_INPUT_MAX_TOTAL_BYTES"


@dataclass(frozen=True, slots=True)
class StoredInput:
    """The source of a stored input file, and the hash of its content if it is known."""

    source: str
    blake3: str | None
    size: int = 0  # bytes; 0 if they are not known yet


class InputFiles:
    def __init__(self, *, uploads: Uploads, outputs: JobOutputs, limits: InputLimits) -> None:
        self._uploads = uploads
        self._outputs = outputs
        self._limits = limits

    def check(self, spec: Spec) -> Spec:
        """Check the number and sources of all files; return the spec with its parameters as
        they may be shown.

        Raises:
            InvalidParameters: names each bad source, or there are too many.
        """
        sources = {file.source for file in spec.inputs}
        if len(sources) > self._limits.max_files:
            most = f"{self._limits.max_files} ({MAX_FILES})"
            raise _too_many(spec, f"has {len(sources)} of them", most)
        wrong = [
            FieldError(_field(file), message)
            for file in spec.inputs
            if (message := _fault(file.source))
        ]
        if wrong:
            raise InvalidParameters(list(dict.fromkeys(wrong)))
        return replace(spec, parameters=_shown(spec, {}))

    async def settle(self, caller: Caller, spec: Spec, *, by: JobId, needed_for: timedelta) -> Spec:
        """Return the spec with its data URIs stored as assets; all assets it names are kept for
        ``needed_for`` at least, and outputs for as long as ``by``, its job, goes on.

        Its parameters, which are shown and stored beside results, lose the queries of URLs.

        Raises:
            InvalidParameters: a source is malformed, or names an asset that does not exist.
            TooLarge, AssetsUnavailable.
        """
        if not spec.inputs:
            return spec
        self.check(spec)
        again, settled = await self._kept(caller, spec, by, needed_for)
        return replace(again, parameters=_shown(spec, settled))

    async def settle_again(
        self, caller: Caller, spec: Spec, *, by: JobId, needed_for: timedelta
    ) -> Spec:
        """Keep the assets of a spec that was settled for an earlier job.

        Its parameters are as they may be shown already, so they name no sources any more. Raises
        what ``settle`` raises.
        """
        self.check(spec)
        return (await self._kept(caller, spec, by, needed_for))[0]

    async def _kept(
        self, caller: Caller, spec: Spec, by: JobId, needed_for: timedelta
    ) -> tuple[Spec, Mapping[str, StoredInput]]:
        """Store or keep every file; return the spec with them, and each by its source."""
        settled = {
            file.source: await self._settled(caller, file, by, needed_for)
            for file in {file.source: file for file in spec.inputs}.values()
        }
        total = sum(stored.size for stored in settled.values())
        if total > self._limits.max_total_bytes:
            most = f"{self._limits.max_total_bytes} bytes ({MAX_TOTAL})"
            raise _too_many(spec, f"has {total} bytes of them", most)
        inputs = tuple(
            replace(file, source=settled[file.source].source, blake3=settled[file.source].blake3)
            for file in spec.inputs
        )
        return replace(spec, inputs=inputs), settled

    async def _settled(
        self, caller: Caller, file: InputFile, by: JobId, needed_for: timedelta
    ) -> StoredInput:
        if is_data(file.source):
            data = read_data_uri(file.source)
            asset = await self._uploads.add(
                caller,
                once(data.content),
                filename=file.parameter or "file",
                content_type=data.content_type,
                needed_for=needed_for,
            )
            return StoredInput(f"{ASSET}{asset.id}", asset.blake3, asset.size)
        asset_id = asset_id_of(file.source)
        if asset_id is None:
            return StoredInput(file.source, None)
        try:
            stored = await self._used(caller, asset_id, by, needed_for)
        except AssetNotFound as missing:
            raise InvalidParameters([FieldError(_field(file), str(missing))]) from missing
        if file.kind in PICTURES and stored.size > self._limits.max_bytes:
            message = f"the picture has {stored.size} bytes, the most is {self._limits.max_bytes}"
            raise InvalidParameters([FieldError(_field(file), f"{message} ({MAX_BYTES})")])
        return StoredInput(f"{ASSET}{asset_id}", stored.blake3 or None, stored.size)

    async def _used(
        self, caller: Caller, asset_id: AssetId, by: JobId, needed_for: timedelta
    ) -> Asset | Output:
        try:
            return await self._uploads.use(caller, asset_id, needed_for=needed_for)
        except AssetNotFound:
            return await self._outputs.use(caller.tenant, asset_id, by=by)


def _too_many(spec: Spec, has: str, most: str) -> InvalidParameters:
    message = f"is one of too many input files: the job {has}, the most is {most}"
    return InvalidParameters([FieldError(_field(spec.inputs[-1]), message)])


def _fault(source: str) -> str | None:
    try:
        check_source(source)
        if is_data(source):
            read_data_uri(source)
    except BadSource as bad:
        return str(bad)
    return None


def _field(file: InputFile) -> str:
    return file.parameter or f"graph.{file.node}.inputs.{file.input}"


def _shown(spec: Spec, settled: Mapping[str, StoredInput]) -> dict[str, Any]:
    """Return the parameters with the sources of files as they may be shown, once settled."""
    names = {file.parameter for file in spec.inputs}

    def shown(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {**value, "source": shown(value["source"])}
        return shown_source(settled[value].source if settled else value)

    return {
        name: shown(value) if name in names else value for name, value in spec.parameters.items()
    }
