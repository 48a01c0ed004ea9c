"""References to assets as the Comfy API v2 has them within graphs, in place of a file's name."""

from collections.abc import Iterator, Mapping
from typing import Any

from comfyq.domain.files.asset import AssetId
from comfyq.domain.files.sources import FILE_ID

TYPE = "core/ASSET"


def is_reference(value: object) -> bool:
    return isinstance(value, Mapping) and value.get("__type") == TYPE


def referred(value: Mapping[str, Any]) -> AssetId | None:
    """Return the asset that a reference names; None: it names none. Its hash and path are hints."""
    info = value.get("info")
    named = info.get("id") if isinstance(info, Mapping) else None
    if not isinstance(named, str) or FILE_ID.fullmatch(named) is None:
        return None
    return AssetId(named.lower())


def reference_to(asset_id: AssetId, *, blake3: str | None) -> dict[str, Any]:
    """Return a reference to an asset."""
    hint = {} if blake3 is None else {"hash": f"blake3:{blake3}"}
    return {"__type": TYPE, "info": {"id": asset_id, **hint}}


def references_in(value: object) -> Iterator[Mapping[str, Any]]:
    """Yield every reference in a value of JSON, however deep."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            if is_reference(each):
                yield each
            else:
                waiting += each.values()
        elif isinstance(each, list):
            waiting += each
