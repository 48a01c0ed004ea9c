from collections.abc import Mapping
from typing import Any, Protocol


class CatalogueSource(Protocol):
    """The source of a ComfyUI's node catalogue."""

    async def object_info(self) -> Mapping[str, Any]:
        """Its answer to ``GET /object_info``: node classes by name.

        Raises:
            EngineUnavailable: it does not answer.
        """
        ...
