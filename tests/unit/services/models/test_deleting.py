"""What is deleted in a store, and what is not: files of others, and parts that are fetched."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from comfyq.domain.models.errors import ModelRefused
from comfyq.domain.models.lock import LockedModel
from comfyq.ports.models.store import ModelState, StoredModel
from comfyq.services.models.upkeep import ModelUpkeep
from tests.cells import Cells
from tests.model_hub import ModelHub, hub_with_cdn, safetensors
from tests.model_lab import FILE, ModelLab

pytestmark = pytest.mark.anyio

MODEL = safetensors()
LIE = safetensors(seed="b")
SIZE = len(MODEL)


@pytest.fixture
def hub() -> Iterator[ModelHub]:
    with hub_with_cdn() as hub:
        yield hub


def no_link(*_: object, **__: object) -> None:
    raise PermissionError


async def test_a_file_that_stands_there_is_kept(hub: ModelHub, tmp_path: Path) -> None:
    lab = ModelLab(hub, tmp_path)
    model, place = lab.locked(MODEL), tmp_path / "loras" / FILE
    place.parent.mkdir()
    place.write_bytes(LIE)
    with pytest.raises(ModelRefused, match="another file of this name stands there"):
        await lab.fetcher.bring(model)
    assert (lab.seen(), lab.ranges) == ({FILE: LIE}, [])
    place.write_bytes(MODEL)
    assert await lab.fetcher.bring(model) is ModelState.OTHER
    assert lab.store.state(model) == (ModelState.READY, SIZE)
    assert lab.ranges == []


async def test_a_file_that_stands_there_outlives_the_stores(
    hub: ModelHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def outlives(home: Path, *, content: Path) -> None:
        """A person's file, or link to ``content``, is used under two names, and then by no lock."""
        lab = ModelLab(hub, home / "models")
        model, place = lab.locked(MODEL), home / "models/loras" / FILE
        place.parent.mkdir(parents=True)
        content.write_bytes(MODEL)
        own = home / "models/loras/own.safetensors"
        if content != place:
            place.symlink_to(content)
            own.symlink_to(content)
        before = len(lab.ranges)
        again = replace(model, folder="checkpoints")
        assert await lab.fetcher.bring(model) is ModelState.OTHER
        assert await lab.fetcher.bring(again) is ModelState.UNLINKED
        assert [lab.store.state(each)[0] for each in (model, again)] == [ModelState.READY] * 2
        assert (place.is_symlink(), lab.ranges[before:]) == (content != place, [])
        assert lab.store.all() == [StoredModel(model.sha256, 0)]  # it takes no room of its own
        content.write_bytes(LIE)  # as long as before
        os.utime(content, ns=(0, 0))
        with pytest.raises(ModelRefused, match="another file of this name stands there"):
            await lab.fetcher.bring(model)
        content.write_bytes(MODEL)
        assert await lab.fetcher.bring(model) is ModelState.OTHER  # read again
        assert lab.store.state(again)[0] is ModelState.READY
        lab.store.delete([model.sha256])
        assert lab.store.all() == []
        assert not os.path.lexists(home / "models/checkpoints" / FILE)
        assert place.read_bytes() == content.read_bytes() == MODEL
        assert own.exists() == (content != place)
        place.unlink()
        assert await lab.fetcher.bring(model) is ModelState.MISSING  # fetched now
        assert lab.store.all() == [StoredModel(model.sha256, SIZE)]
        assert await lab.fetcher.bring(again) is ModelState.UNLINKED
        lab.store.delete([model.sha256])
        assert [os.path.lexists(each) for each in (place, lab.store._target(again))] == [False] * 2

    with Cells() as cells:
        for links in ("hard", "symbolic"):  # as across disks, or where the file is another user's
            home = tmp_path / links
            with cells.cell(f"a file, {links}"):
                await outlives(home, content=home / "models/loras" / FILE)
            with cells.cell(f"a link, {links}"):
                await outlives(home / "linked", content=tmp_path / f"{links}.safetensors")
            monkeypatch.setattr(os, "link", no_link)


async def test_a_file_that_stood_there_and_is_gone_is_fetched(
    hub: ModelHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", no_link)
    lab, place = ModelLab(hub, tmp_path), tmp_path / "loras" / FILE
    model = lab.locked(MODEL)
    place.parent.mkdir()
    place.write_bytes(MODEL)
    states = [await lab.fetcher.bring(model)]
    place.unlink()
    states += [await lab.fetcher.bring(model) for _ in range(2)]
    assert states == [ModelState.OTHER, ModelState.MISSING, ModelState.READY]
    assert (lab.seen(), lab.ranges) == ({FILE: MODEL}, [None])


async def test_a_part_that_is_being_fetched_is_not_pruned(hub: ModelHub, tmp_path: Path) -> None:
    lab, keys = ModelLab(hub, tmp_path), ("a" * 64, "b" * 64)
    upkeep, folder = ModelUpkeep(lab.store), tmp_path / "by-sha256" / "parts"
    await lab.fetcher.bring(lab.locked(MODEL))
    assert list(folder.iterdir()) == []
    for key in keys:
        with lab.store.part(key) as part:
            part.write(MODEL)
            part.keep()
    unneeded = upkeep.unneeded([lab.locked(MODEL)])
    assert [each.sha256 for each in unneeded.all] == list(keys)
    with lab.store.part(keys[0]):
        assert upkeep.unneeded([lab.locked(MODEL)]).all == [StoredModel(keys[1], SIZE)]
        assert upkeep.prune(unneeded).all == [StoredModel(keys[1], SIZE)]
    assert lab.seen() == {FILE: MODEL}
    assert upkeep.clear(with_parts=False) == 1
    assert (lab.store.all(), lab.store.parts([])) == ([], [StoredModel(keys[0], SIZE)])
    assert upkeep.clear(with_parts=True) == 0
    assert list(folder.iterdir()) == []


async def test_a_file_that_is_being_brought_is_not_pruned(
    hub: ModelHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = ModelLab(hub, tmp_path)
    upkeep, model, link = ModelUpkeep(lab.store), lab.locked(MODEL), lab.store.link
    pruned: list[StoredModel] = []

    def prune_and_link(model: LockedModel) -> None:
        pruned.extend(upkeep.prune(upkeep.unneeded([])).all)
        link(model)

    monkeypatch.setattr(lab.store, "link", prune_and_link)
    assert await lab.fetcher.bring(model) is ModelState.MISSING
    assert (pruned, lab.seen()) == ([], {FILE: MODEL})
    (tmp_path / "loras" / FILE).unlink()
    assert await lab.fetcher.bring(model) is ModelState.UNLINKED
    assert (pruned, lab.seen()) == ([], {FILE: MODEL})
    assert [each.sha256 for each in upkeep.prune(upkeep.unneeded([])).all] == [model.sha256]
    assert (list((tmp_path / "by-sha256" / "parts").iterdir()), lab.seen()) == ([], {})
