from collections.abc import Mapping
from typing import Any, Protocol


class CatalogueSource(Protocol):
    """Where a ComfyUI tells what it can run."""

    async def object_info(self) -> Mapping[str, Any]:
        """Its answer to ``GET /object_info``: node classes by name.

        Raises:
            EngineUnavailable: it does not answer.
        """
        ...
