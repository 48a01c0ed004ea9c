"""A file that a client has stored, to be used by jobs."""

from dataclasses import dataclass
from datetime import datetime
from typing import NewType

from comfyq.domain.caller import TenantId
from comfyq.domain.errors import Conflict

AssetId = NewType("AssetId", str)  # a UUID

MAX_NAME_CHARS = 200
BESIDE_BYTES = 8 * 1024  # of a file: its records, and the rest of its last block on a disk


class AssetInUse(Conflict):
    """A job that has not ended needs the asset, or made it."""

    code = "asset-in-use"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One tenant's file. The same bytes are one asset within a tenant, and never across."""

    id: AssetId
    tenant: TenantId
    filename: str  # as the client named it, without folders
    content_type: str  # as the client says; what is in it is checked when a job uses it
    size: int  # bytes
    blake3: str  # hex
    key: str  # where asset storage has it
    created_at: datetime
    expires_at: datetime  # moved on by each use
    version: int = 1
    counted: bool = True  # in the bytes of its tenant; older versions did not count

    @property
    def taken_bytes(self) -> int:
        """Return what the file takes of its tenant's room."""
        return taken(self.size)


def taken(size: int) -> int:
    """Return what a file of ``size`` bytes takes of its tenant's room."""
    return size + BESIDE_BYTES


def name_of(given: str) -> str:
    """A client's file name without folders and control characters."""
    last = given.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(each for each in last if each.isprintable())[:MAX_NAME_CHARS].strip() or "file"
