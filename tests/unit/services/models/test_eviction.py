"""What is deleted for a model that is to come, and what never is."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from comfyq.adapters.filesystem.models.uses import LOST_S
from comfyq.aio.logs import log
from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.job import JobId
from comfyq.domain.models.errors import NoRoomForModel
from comfyq.domain.models.lock import LockedModel
from comfyq.domain.submission.spec import Spec
from comfyq.ports.models.store import ModelState, PartHeld
from comfyq.services.models.fetch_policy import FetchPolicy
from comfyq.services.models.obstacle import Obstacle
from comfyq.services.models.upkeep import ModelUpkeep
from tests.model_hub import ModelHub, hub_with_cdn, safetensors
from tests.model_lab import ModelLab

pytestmark = pytest.mark.anyio

SIZE = len(safetensors())
USES = """
import sys
from pathlib import Path
from comfyq.adapters.filesystem.models.store import FolderModels
with FolderModels(Path(sys.argv[1])).using(sys.argv[2:]):
    print("uses", flush=True)
    sys.stdin.read()
"""


class Folder:
    """A folder of models that takes so many of one size; ``use`` makes one the newest."""

    def __init__(self, hub: ModelHub, root: Path, *, models: float = 3) -> None:
        self.lab = ModelLab(hub, root, store_max_bytes=int(models * SIZE), evicts=True)
        self.store = self.lab.store
        self._used_s = 1_000.0

    def locked(self, seed: str) -> LockedModel:
        return self.lab.locked(safetensors(seed=seed), file=f"{seed}.safetensors")

    async def bring(self, *seeds: str) -> None:
        for seed in seeds:
            with self.store.using([self.locked(seed).sha256]):
                await self.lab.fetcher.bring(self.locked(seed))
            self.use(seed)

    def use(self, seed: str) -> None:
        """Use a model later than those before, and long ago."""
        sha256 = self.locked(seed).sha256
        with self.store.using([sha256]):
            pass
        self._used_s += 1
        self.date(seed, self._used_s)
        place = self.lab.root / "by-sha256" / sha256[:2] / sha256
        os.utime(place, (0, 0), follow_symlinks=False)

    def date(self, seed: str, used_s: float) -> None:
        os.utime(self.lab.root / "by-sha256/uses" / self.locked(seed).sha256, (used_s, used_s))

    @property
    def seen(self) -> str:
        return "".join(sorted(name[0] for name in self.lab.seen()))


@pytest.fixture
def hub() -> Iterator[ModelHub]:
    with hub_with_cdn() as hub:
        yield hub


@pytest.fixture
def evicted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    told: list[tuple[str, int]] = []

    def info(event: str, **values: object) -> None:
        if event == "model_evicted":
            told.append((str(values["sha256"]), int(str(values["bytes"]))))

    monkeypatch.setattr(log, "info", info, raising=False)
    return told


@contextmanager
def process_that_uses(root: Path, sha256: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", USES, str(root), *sha256],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "uses\n"
        try:
            yield process
        finally:
            process.kill()


async def test_the_least_recently_used_goes_and_no_more_than_is_needed(
    hub: ModelHub, tmp_path: Path, evicted: list[tuple[str, int]]
) -> None:
    folder = Folder(hub, tmp_path)
    await folder.bring("a", "b", "c")
    folder.use("a")
    again = Folder(hub, tmp_path)  # after a restart
    before = (tmp_path / "loras").stat().st_mtime_ns
    await again.lab.fetcher.bring(again.locked("d"))
    assert again.seen == "acd"
    assert evicted == [(folder.locked("b").sha256, SIZE)]
    assert (tmp_path / "loras").stat().st_mtime_ns > before, "ComfyUI lists it anew"
    assert not (tmp_path / "by-sha256/uses" / folder.locked("b").sha256).exists()
    assert again.store.state(again.locked("b")) == (ModelState.MISSING, 0)
    large = again.lab.locked(safetensors(4 * SIZE), file="large.safetensors")
    with pytest.raises(NoRoomForModel, match="COMFYQ_MODEL_STORE_MAX_BYTES"):
        await again.lab.fetcher.bring(large)
    assert again.seen == "acd", "nothing goes in vain"
    # A small one that is older is spared if a larger one has to go anyhow.
    small = again.lab.locked(safetensors(9), file="s.safetensors")
    roomy = Folder(hub, tmp_path / "roomy", models=2.1)
    await roomy.lab.fetcher.bring(small)
    os.utime(tmp_path / "roomy/by-sha256" / small.sha256[:2] / small.sha256, (0, 0))
    await roomy.bring("a", "b", "c")
    assert roomy.seen == "bcs"


async def test_what_a_person_put_there_stays(hub: ModelHub, tmp_path: Path) -> None:
    folder = Folder(hub, tmp_path, models=1)
    (tmp_path / "loras").mkdir()
    own = tmp_path / "loras/a.safetensors"
    own.write_bytes(safetensors(seed="a"))
    changed = own.stat().st_mtime_ns
    await folder.bring("b")  # it stands where comfyq fetched it
    assert await folder.lab.fetcher.bring(folder.locked("a")) is ModelState.OTHER
    with folder.store.using([folder.locked("a").sha256]):
        pass
    assert own.stat().st_mtime_ns == changed
    own.unlink()  # the store's second name has the person's bytes still
    os.link(_place(tmp_path, folder.locked("a")), tmp_path / "loras/mine.safetensors")
    await folder.bring("c")
    assert folder.seen == "cm"
    assert _place(tmp_path, folder.locked("a")).exists()
    (tmp_path / "loras/mine.safetensors").unlink()
    with pytest.raises(NoRoomForModel):
        await folder.bring("d")
    assert _place(tmp_path, folder.locked("a")).exists()


def obstacle(policy: FetchPolicy, lacking: LockedModel, *others: LockedModel) -> Obstacle | None:
    """Return what keeps a worker from fetching the first of a job's models."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    job = jobs.submitted(id=JobId("j"), tenant=DEFAULT_TENANT, workflow="w", created_at=now)
    spec = Spec(graph={}, parameters={}, models=(lacking, *others))
    return policy.obstacle(job, spec, [lacking.file])


async def test_what_another_process_uses_stays_and_so_after_its_death(
    hub: ModelHub, tmp_path: Path
) -> None:
    folder = Folder(hub, tmp_path, models=2)
    await folder.bring("a", "b")
    models = [folder.locked(seed) for seed in "ab"]
    policy = FetchPolicy(folder.store)
    new = folder.locked("c")
    with process_that_uses(tmp_path, [model.sha256 for model in models]) as other:
        full = obstacle(policy, new)
        assert full is not None
        assert "has room for 0.00 GB" in full.reason
        assert full.again_s, "somebody else may make room"
        with pytest.raises(NoRoomForModel):
            await folder.lab.fetcher.bring(new)
        assert ModelUpkeep(folder.store).prune(ModelUpkeep(folder.store).unneeded([])).all == []
        other.kill()
        other.wait()
        assert obstacle(policy, new), "ComfyUI may have queued what it sent"
        with pytest.raises(NoRoomForModel):
            await folder.lab.fetcher.bring(new)
    now_s = (tmp_path / "by-sha256/uses").stat().st_mtime
    folder.date("a", now_s - LOST_S - 60)
    assert obstacle(policy, new) is None
    assert obstacle(policy, new, models[0]), "the job itself needs it"
    await folder.lab.fetcher.bring(new)
    assert folder.seen == "bc"


async def test_room_is_not_counted_twice_and_parts_go_as_files_do(
    hub: ModelHub, tmp_path: Path
) -> None:
    folder, other = Folder(hub, tmp_path), Folder(hub, tmp_path)
    await folder.bring("a", "b")
    c, d = folder.locked("c"), folder.locked("d")
    with folder.store.part(c.sha256) as part:
        part.begin(offset=0, size=SIZE, etag=None)
        part.write(b"x" * 1_000)
        part.keep()
        assert other.store.room() == 0
        assert other.store.room([c.sha256]) == SIZE - 1_000, "the part is a part of the rest"
        await other.lab.fetcher.bring(d)
        assert other.seen == "bd", "what is to come of the other file was left to it"
    assert other.store.room() == SIZE - 1_000, "nobody fetches it any more"
    folder.use("b")
    os.utime(tmp_path / "by-sha256/parts" / f"{c.sha256}.part", (0, 0))
    await folder.lab.fetcher.bring(folder.locked("e"))
    assert (folder.seen, folder.lab.parts) == ("bde", [])


async def test_a_model_is_not_used_while_it_is_deleted(hub: ModelHub, tmp_path: Path) -> None:
    folder = Folder(hub, tmp_path)
    await folder.bring("a", "b")
    sha256 = [folder.locked(seed).sha256 for seed in "ab"]
    unlink, met = os.unlink, list[str]()

    def unlink_and_use(path: str) -> None:
        try:
            with folder.store.using(sha256):
                met.append("used")
        except PartHeld:
            met.append("held")
        unlink(path)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("comfyq.adapters.filesystem.models.store.os.unlink", unlink_and_use)
        assert folder.store.delete(sha256[1:]) == sha256[1:]
    assert met[0] == "held"
    with folder.store.using(sha256), folder.store.using(sha256):
        assert folder.store.delete(sha256) == []
    assert folder.store.delete(sha256) == sha256


def _place(root: Path, model: LockedModel) -> Path:
    return root / "by-sha256" / model.sha256[:2] / model.sha256
