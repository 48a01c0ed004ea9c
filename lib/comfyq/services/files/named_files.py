"""Files by the names that clients of ComfyUI's API stored them under, each tenant's own."""

from datetime import timedelta

from comfyq.domain.caller import Caller
from comfyq.domain.errors import AssetNotFound, TooContended
from comfyq.domain.files.asset import Asset
from comfyq.domain.files.file_place import FilePlace
from comfyq.records.files.file_names import FileName, FileNameRecords
from comfyq.services.files.uploads import Uploads

KEPT = timedelta(days=30)  # a name, after its file has expired
MOST_ALIKE = 1_000  # files of one name, beside each other


class NamedFiles:
    """To a caller, another tenant's names do not exist."""

    def __init__(self, *, uploads: Uploads, names: FileNameRecords) -> None:
        self._uploads = uploads
        self._names = names

    async def name(
        self, caller: Caller, asset: Asset, place: FilePlace, *, instead: bool = False
    ) -> FilePlace:
        """Give a stored file a name, and return it: as ComfyUI does, another one beside it where
        another file has it, unless the file is to be there ``instead``.

        Raises:
            TooContended: there are too many files of that name.
        """
        for number in range(MOST_ALIKE):
            wanted = place.numbered(number) if number else place
            name = self._name(caller, asset, wanted)
            known = await self._names.get(caller.tenant, wanted)
            if known is None and await self._names.add(name):
                return wanted
            known = known or await self._names.get(caller.tenant, wanted)
            if known is None or instead or await self._may_replace(caller, known, asset):
                await self._names.replace(name)
                return wanted
        raise TooContended(f"there are {MOST_ALIKE} files called {place.name!r}; use another name")

    async def find(self, caller: Caller, place: FilePlace) -> Asset | None:
        """Return the file that the caller has under a name, if it is still kept."""
        known = await self._names.get(caller.tenant, place)
        if known is None:
            return None
        try:
            asset = await self._uploads.get(caller, known.asset)
        except AssetNotFound:
            return None
        if known.expires_at < asset.expires_at + KEPT / 2:  # it was used since, and is kept longer
            await self._names.replace(self._name(caller, asset, place))
        return asset

    async def _may_replace(self, caller: Caller, known: FileName, asset: Asset) -> bool:
        """Return whether a name has the same file already, or one that is kept no more."""
        if known.blake3 == asset.blake3:
            return True
        try:
            await self._uploads.get(caller, known.asset)
        except AssetNotFound:
            return True
        return False

    def _name(self, caller: Caller, asset: Asset, place: FilePlace) -> FileName:
        return FileName(
            tenant=caller.tenant,
            place=place,
            asset=asset.id,
            blake3=asset.blake3,
            expires_at=asset.expires_at + KEPT,
        )
