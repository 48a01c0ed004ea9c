"""The services of models over a real folder and servers of this machine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comfyq.adapters.fetching.models.civitai import Civitai
from comfyq.adapters.fetching.models.hugging_face import HuggingFace
from comfyq.adapters.fetching.models.origins import HttpOrigins
from comfyq.adapters.fetching.models.session import OriginAccess, OriginSession
from comfyq.adapters.filesystem.models.room import Bounds
from comfyq.adapters.filesystem.models.store import FolderModels
from comfyq.adapters.s3.models import S3Models
from comfyq.domain.caller import TenantId
from comfyq.domain.models.lock import LockedModel
from comfyq.domain.models.source import read_source
from comfyq.domain.public_addresses import Allowed
from comfyq.services.models.bounds import BoundedOrigins
from comfyq.services.models.fetching import ModelFetcher
from comfyq.services.models.locking import ModelLocking
from tests.model_hub import COMMIT, ModelHub, sha256

FILE = "model.safetensors"


@dataclass
class ModelLab:
    """A machine that fetches from ``hub``; its waits are noted, and take no time."""

    hub: ModelHub
    root: Path
    tokens: Mapping[str, str] = field(default_factory=dict)
    allow: Sequence[str] = ("127.0.0.1",)
    pickles: Sequence[str] = ()
    idle_s: float = 30
    max_bytes: int = 10**9
    names: Sequence[str] = ()  # that lead to this machine
    s3: Callable[[], Any] = lambda: None
    free_bytes: Callable[[Path], int] = lambda _: 10**12
    least_free_bytes: int = 0
    store_max_bytes: int | None = None
    evicts: bool = False
    waited: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        access = OriginAccess(
            allowed=Allowed.of([*self.allow, *self.names]),
            tokens=self.tokens,
            look_up=self._look_up if self.names else None,
            idle_s=self.idle_s,
        )
        session = OriginSession(access)
        http = HttpOrigins(
            session,
            hugging_face=HuggingFace(session, self.hub.url),
            civitai=Civitai(session, self.hub.url),
        )
        origins = BoundedOrigins(
            http=http, s3=lambda: S3Models(client=self.s3), max_bytes=self.max_bytes
        )
        bounds = Bounds(
            least_free_bytes=self.least_free_bytes,
            max_bytes=self.store_max_bytes,
            evicts=self.evicts,
        )
        self.store = FolderModels(self.root, bounds=bounds, free_bytes=self.free_bytes)
        self.fetcher = ModelFetcher(
            origins=origins, store=self.store, pickles=self.pickles, sleep=self._wait
        )
        self.locking = ModelLocking(
            origins=origins, fetcher=self.fetcher, pickles=self.pickles, sleep=self._wait
        )

    async def _look_up(self, _: TenantId, host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"] if host in self.names else []

    async def _wait(self, wait_s: float) -> None:
        self.waited.append(wait_s)

    def locked(self, content: bytes, *, file: str = FILE) -> LockedModel:
        """Publish a file, and return its lock."""
        source = self.hub.repository("owner/repo", file, content)
        return LockedModel(
            folder="loras",
            file=file,
            source=read_source(source),
            sha256=sha256(content),
            size=len(content),
            commit=COMMIT,
        )

    def seen(self) -> Mapping[str, bytes]:
        """Return the files that ComfyUI would find."""
        files = [file for file in (self.root / "loras").rglob("*") if file.is_file()]
        return {file.name: file.read_bytes() for file in files}

    @property
    def parts(self) -> Sequence[str]:
        """Return the names of what is left of files that are not whole."""
        found = (self.root / "by-sha256" / "parts").glob("*")
        return sorted(each.suffix for each in found if each.suffix != ".lock")

    @property
    def ranges(self) -> Sequence[str | None]:
        """Return from where on bytes were asked for, request by request."""
        return [each.headers["Range"] for each in (self.hub.cdn or self.hub).bytes_asked()]
