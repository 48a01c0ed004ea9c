"""The input files of a request, stored or checked before its job is stored.

A data URI becomes an asset, which keeps the job's record small. An asset that the request names
must exist, and is kept until the job has run.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from comfyq.domain.caller import Caller
from comfyq.domain.errors import AssetNotFound, FieldError, InvalidParameters
from comfyq.domain.files.inputs import InputFile
from comfyq.domain.files.sources import (
    ASSET,
    BadSource,
    asset_id_of,
    check_source,
    is_data,
    read_data_uri,
)
from comfyq.domain.submission.spec import Spec
from comfyq.services.files.uploads import Uploads


@dataclass(frozen=True, slots=True)
class StoredInput:
    """The source of a stored input file, and the hash of its content if it is known."""

    source: str
    blake3: str | None


class InputFiles:
    def __init__(self, *, uploads: Uploads) -> None:
        self._uploads = uploads

    def check(self, spec: Spec) -> None:
        """Check the sources of all files; raises InvalidParameters that names each bad one."""
        wrong = [
            FieldError(_field(file), message)
            for file in spec.inputs
            if (message := _fault(file.source))
        ]
        if wrong:
            raise InvalidParameters(list(dict.fromkeys(wrong)))

    async def settle(self, caller: Caller, spec: Spec) -> Spec:
        """Return the spec with its data URIs stored as assets; all assets it names are kept.

        Raises:
            InvalidParameters: a source is malformed, or names an asset that does not exist.
            TooLarge, AssetsUnavailable.
        """
        if not spec.inputs:
            return spec
        self.check(spec)
        settled = {
            file.source: await self._settled(caller, file)
            for file in {file.source: file for file in spec.inputs}.values()
        }
        inputs = tuple(
            replace(file, source=settled[file.source].source, blake3=settled[file.source].blake3)
            for file in spec.inputs
        )
        names = {file.parameter for file in spec.inputs}
        parameters = {
            name: _replaced(value, settled) if name in names else value
            for name, value in spec.parameters.items()
        }
        return replace(spec, inputs=inputs, parameters=parameters)

    async def _settled(self, caller: Caller, file: InputFile) -> StoredInput:
        if is_data(file.source):
            data = read_data_uri(file.source)
            asset = await self._uploads.add(
                caller,
                _once(data.content),
                filename=file.parameter or "file",
                content_type=data.content_type,
            )
            return StoredInput(f"{ASSET}{asset.id}", asset.blake3)
        asset_id = asset_id_of(file.source)
        if asset_id is None:
            return StoredInput(file.source, None)
        try:
            asset = await self._uploads.use(caller, asset_id)
        except AssetNotFound as missing:
            raise InvalidParameters([FieldError(_field(file), str(missing))]) from missing
        return StoredInput(f"{ASSET}{asset.id}", asset.blake3)


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


def _replaced(value: Any, settled: Mapping[str, StoredInput]) -> Any:
    """Return the value of a file parameter with its source replaced by the settled one."""
    if isinstance(value, Mapping):
        return {**value, "source": settled[value["source"]].source}
    return settled[value].source


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
