"""An internet that a test writes."""

from comfyq.domain.caller import TenantId


class ScriptedFetcher:
    """The internet: what is at each URL, or what comes instead, once for each time it is asked."""

    def __init__(self) -> None:
        self.pages: dict[str, list[bytes | Exception]] = {}

    async def fetch(self, url: str, *, tenant: TenantId, kind: str, max_bytes: int) -> bytes:
        page = self.pages[url].pop(0)
        if isinstance(page, Exception):
            raise page
        return page
