"""Faults of origins, disks and people: each ends with the right file, or with none and a reason."""

import asyncio
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from comfyq.adapters.filesystem.models.part import FilePart
from comfyq.domain.models.errors import (
    ModelError,
    ModelRefused,
    ModelUnauthorized,
    ModelUnavailable,
    NoRoomForModel,
)
from comfyq.domain.models.lock import LockedModel
from comfyq.domain.models.source import read_source
from comfyq.ports.models.store import ModelState
from comfyq.services.models.retries import WAITS_S
from tests.cells import Cells
from tests.model_hub import PAGE, PIECE, TOKEN, Fault, ModelHub, hub_with_cdn, safetensors, sha256
from tests.model_lab import FILE, ModelLab

pytestmark = pytest.mark.anyio

MODEL = safetensors()
LIE = safetensors(seed="b")
SIZE = len(MODEL)


@pytest.fixture
def hub() -> Iterator[ModelHub]:
    with hub_with_cdn() as hub:
        yield hub


def faulty(hub: ModelHub, *faults: Fault) -> None:
    assert hub.cdn is not None
    hub.cdn.faults += faults


async def refusal(lab: ModelLab, model: LockedModel, kind: type[ModelError]) -> str:
    """Return why a file is not brought; ComfyUI sees nothing of it."""
    with pytest.raises(kind) as refused:
        await lab.fetcher.bring(model)
    assert lab.seen() == {}
    return str(refused.value)


async def test_a_file_is_linked_once_it_is_whole_and_checked(hub: ModelHub, tmp_path: Path) -> None:
    lab = ModelLab(hub, tmp_path)
    model, told = lab.locked(MODEL), list[tuple[int, object]]()
    before = await lab.fetcher.bring(model, lambda at: told.append((at.done, lab.seen())))
    assert (before, lab.seen()) == (ModelState.MISSING, {FILE: MODEL})
    assert (told[0], told[-1]) == ((0, {}), (SIZE, {}))
    link = tmp_path / "loras" / FILE
    assert os.readlink(link) == f"../by-sha256/{model.sha256[:2]}/{model.sha256}"
    assert link.stat().st_mode & 0o222 == 0
    assert lab.parts == []
    assert await lab.fetcher.bring(model) is ModelState.READY
    assert lab.ranges == [None]


async def test_what_was_cut_off_goes_on_where_it_was_cut(hub: ModelHub, tmp_path: Path) -> None:
    lab = ModelLab(hub, tmp_path / "once more")
    model = lab.locked(MODEL)
    faulty(hub, Fault(cut=PIECE, unsized=True), Fault(status=503))
    await lab.fetcher.bring(model)
    assert lab.ranges == [None, f"bytes={PIECE}-", f"bytes={PIECE}-"]
    with Cells() as cells:
        for point in (0, 1, PIECE + 5, SIZE - 1):
            lab, before = ModelLab(hub, tmp_path / str(point)), len(lab.ranges)
            faulty(hub, Fault(cut=point, unsized=True))
            with cells.cell(str(point)):
                await lab.fetcher.bring(model)
                assert lab.seen() == {FILE: MODEL}
                assert lab.ranges[before + 1 :] == [f"bytes={point}-" if point else None]
                assert lab.waited == [WAITS_S[0]]


async def test_a_connection_that_breaks_costs_what_was_not_read(
    hub: ModelHub, tmp_path: Path
) -> None:
    lab, large = ModelLab(hub, tmp_path), safetensors(5 * 2**20)
    faulty(hub, Fault(cut=4 * 2**20))
    await lab.fetcher.bring(lab.locked(large))
    assert lab.seen() == {FILE: large}
    [_, went_on] = lab.ranges
    assert went_on is not None
    assert 0 < int(went_on[len("bytes=") : -1]) <= 4 * 2**20


async def test_a_process_goes_on_with_the_part_of_an_earlier_one(
    hub: ModelHub, tmp_path: Path
) -> None:
    first, cut = ModelLab(hub, tmp_path), 100_000
    model = first.locked(MODEL)
    faulty(hub, Fault(cut=cut, unsized=True), *[Fault(status=503)] * len(WAITS_S))
    await refusal(first, model, ModelUnavailable)
    assert first.store.state(model) == (ModelState.PARTIAL, cut)
    [part] = (tmp_path / "by-sha256" / "parts").glob("*.part")
    kept = part.read_bytes()

    async def gone_on() -> Any:
        lab = ModelLab(hub, tmp_path)
        asked = len(lab.ranges)
        await lab.fetcher.bring(model)
        assert lab.seen() == {FILE: MODEL}
        (tmp_path / "loras" / FILE).resolve().unlink()
        return lab.ranges[asked]

    assert await gone_on() == f"bytes={cut}-"
    note = part.with_suffix(".json")
    told = f'{{"bytes": {cut}, "sha256": "{sha256(kept)}", "etag": null}}'
    damaged = {
        "a byte that turned": (kept[:-1] + b"?", told),
        "bytes that are gone": (kept[:-1], told),
        "no note": (kept, ""),
        "half a note": (kept, told[:20]),
    }
    with Cells() as cells:
        for name, (content, text) in damaged.items():
            part.write_bytes(content)
            note.write_text(text)
            with cells.cell(name):
                assert await gone_on() is None  # from the first byte
    part.write_bytes(kept + b"not certain when it died" * SIZE)
    note.write_text(told)
    assert await gone_on() == f"bytes={cut}-"
    part.write_bytes(MODEL)
    note.write_text(f'{{"bytes": {SIZE}, "sha256": "{sha256(MODEL)}", "etag": null}}')
    with pytest.raises(IndexError):  # nothing was asked for: it was whole
        await gone_on()


async def test_who_is_interrupted_keeps_what_was_written(
    hub: ModelHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, began, kept = ModelLab(hub, tmp_path), threading.Event(), threading.Event()
    model = lab.locked(MODEL)
    write, keep, overlaps = FilePart.write, FilePart.keep, list[bool]()

    def slow(part: FilePart, chunk: bytes) -> None:
        began.set()
        overlaps.append(kept.wait(0.2))  # as long as it takes if nobody waits for the write
        write(part, chunk)

    def told(part: FilePart) -> None:
        kept.set()
        keep(part)

    monkeypatch.setattr(FilePart, "write", slow)
    monkeypatch.setattr(FilePart, "keep", told)
    faulty(hub, Fault(cut=PIECE, stall=True))
    fetching = asyncio.create_task(lab.fetcher.bring(model))
    await asyncio.to_thread(began.wait)
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    assert overlaps == [False]
    monkeypatch.undo()
    state, written = lab.store.state(model)
    assert (state, written > 0) == (ModelState.PARTIAL, True)
    await lab.fetcher.bring(model)
    assert lab.ranges == [None, f"bytes={written}-"]
    assert lab.seen() == {FILE: MODEL}


async def test_other_bytes_never_become_the_file(hub: ModelHub, tmp_path: Path) -> None:
    lab = ModelLab(hub, tmp_path)
    model = lab.locked(MODEL)
    faulty(hub, Fault(body=LIE))
    told = await refusal(lab, model, ModelRefused)
    assert sha256(LIE) in told
    assert model.sha256 in told
    assert lab.parts == []
    faulty(hub, Fault(body=LIE[:-1]))
    assert f"has {SIZE - 1} bytes" in await refusal(lab, model, ModelRefused)
    # a part of another file, as of an origin that changed in between: once more, from its start
    faulty(hub, Fault(body=LIE, cut=PIECE, unsized=True, headers={"ETag": f'"{sha256(MODEL)}"'}))
    asked = len(lab.ranges)
    await lab.fetcher.bring(model)
    assert lab.seen() == {FILE: MODEL}
    assert lab.ranges[asked:] == [None, f"bytes={PIECE}-", None]


async def test_a_file_of_the_right_hash_has_to_be_a_model(hub: ModelHub, tmp_path: Path) -> None:
    lab = ModelLab(hub, tmp_path, pickles=["x.pth"])
    told = await refusal(lab, lab.locked(b"no tensors" * 500), ModelRefused)
    assert "no safetensors file" in told
    pickle = lab.locked(b"a pickle" * 500, file="y.pth")
    asked = len(hub.asked)
    assert "COMFYQ_MODEL_PICKLES" in await refusal(lab, pickle, ModelRefused)
    assert len(hub.asked) == asked
    await lab.fetcher.bring(lab.locked(b"a pickle" * 500, file="x.pth"))
    assert list(lab.seen()) == ["x.pth"]


async def test_origins_that_answer_otherwise(hub: ModelHub, tmp_path: Path) -> None:
    lab = ModelLab(hub, tmp_path)
    model = lab.locked(MODEL)
    page = {"Content-Type": "text/html; charset=utf-8"}
    faulty(hub, Fault(body=PAGE, headers=page))
    assert "a web page instead of the file" in await refusal(lab, model, ModelRefused)
    faulty(hub, Fault(headers={"Content-Encoding": "gzip"}))
    assert "compresses it" in await refusal(lab, model, ModelRefused)
    faulty(hub, Fault(status=404))
    assert "answers 404" in await refusal(lab, model, ModelRefused)
    assert lab.waited == []
    faulty(hub, Fault(status=429, headers={"Retry-After": "7"}), Fault(status=502))
    await lab.fetcher.bring(model)
    assert lab.waited == [7, WAITS_S[1]]
    assert lab.seen() == {FILE: MODEL}


async def test_who_is_away_for_long_is_told_to_be(hub: ModelHub, tmp_path: Path) -> None:
    lab = ModelLab(hub, tmp_path)
    model = lab.locked(MODEL)
    faulty(hub, Fault(status=429, headers={"Retry-After": "3600"}))
    with pytest.raises(ModelUnavailable) as asked:
        await lab.fetcher.bring(model)
    assert (asked.value.retry_after_s, lab.waited) == (3600, [])
    faulty(hub, *[Fault(status=503)] * (len(WAITS_S) + 1))
    assert "answers 503" in await refusal(lab, model, ModelUnavailable)
    assert lab.waited == list(WAITS_S)


async def test_an_origin_that_stalls_is_asked_again(hub: ModelHub, tmp_path: Path) -> None:
    lab = ModelLab(hub, tmp_path, idle_s=0.2)
    model = lab.locked(MODEL)
    faulty(hub, Fault(cut=PIECE, stall=True))
    await lab.fetcher.bring(model)
    assert lab.ranges == [None, f"bytes={PIECE}-"]
    assert lab.seen() == {FILE: MODEL}


async def test_an_origin_without_ranges_sends_it_all_again(hub: ModelHub, tmp_path: Path) -> None:
    lab = ModelLab(hub, tmp_path)
    model = lab.locked(MODEL)
    faulty(hub, Fault(cut=PIECE, unsized=True), Fault(no_ranges=True))
    await lab.fetcher.bring(model)
    assert lab.seen() == {FILE: MODEL}
    (tmp_path / "loras" / FILE).resolve().unlink()
    wrong = {"Content-Range": f"bytes 5-9/{SIZE}"}
    faulty(hub, Fault(cut=PIECE, unsized=True), Fault(status=206, headers=wrong, body=b"wrong"))
    await lab.fetcher.bring(model)
    assert lab.seen() == {FILE: MODEL}
    assert lab.ranges[-1] is None  # no range of it again


async def test_a_token_goes_to_its_host_and_not_on_from_there(
    hub: ModelHub, tmp_path: Path
) -> None:
    strangers = ModelLab(hub, tmp_path)
    model = strangers.locked(MODEL)
    hub.gated.update(hub.resolved)
    told = await refusal(strangers, model, ModelUnauthorized)
    assert f"COMFYQ_MODEL_TOKENS={hub.authority.partition(':')[0]}" in told
    assert "GatedRepo" in told
    assert told.isprintable()
    wrong = ModelLab(hub, tmp_path, tokens={hub.authority: "hf_other", "huggingface.co": TOKEN})
    told = await refusal(wrong, model, ModelUnauthorized)
    assert "hf_other" not in told
    lab = ModelLab(hub, tmp_path, tokens={hub.authority: TOKEN})
    await lab.fetcher.bring(model)
    assert hub.cdn is not None
    assert hub.asked[-1].headers["Authorization"] == f"Bearer {TOKEN}"
    assert [each.headers["Authorization"] for each in hub.cdn.asked] == [None]


async def test_a_token_is_not_sent_where_it_could_be_read(hub: ModelHub, tmp_path: Path) -> None:
    mirror = f"mirror.example:{hub.server_port}"
    tokens = {hub.authority: TOKEN, mirror: TOKEN, "mirror.example": TOKEN}
    lab = ModelLab(hub, tmp_path, tokens=tokens, names=["mirror.example"])
    hub.put("x", MODEL)
    hub.moved["/moved"] = f"http://{mirror}/bytes/x"
    model = replace(lab.locked(MODEL), source=read_source(f"{hub.url}/moved"))
    await lab.fetcher.bring(model)
    [first, second] = [(each.path, each.headers["Authorization"]) for each in hub.asked]
    assert (first, second) == (("/moved", f"Bearer {TOKEN}"), ("/bytes/x", None))
    hub.gated.add("/bytes/x")
    (tmp_path / "loras" / FILE).resolve().unlink()
    (tmp_path / "loras" / FILE).unlink()
    told = await refusal(lab, model, ModelUnauthorized)
    assert f"{mirror} answers 401" in told
    assert "sent by https alone" in told


async def test_addresses_that_are_not_public_are_not_asked(hub: ModelHub, tmp_path: Path) -> None:
    closed = ModelLab(hub, tmp_path, allow=())
    model = closed.locked(MODEL)
    assert "(COMFYQ_MODEL_ALLOW)" in await refusal(closed, model, ModelRefused)
    assert hub.asked == []
    # a hub that is allowed by name leads to an address that is not
    by_name = replace(closed, allow=["localhost"])
    source = f"http://localhost:{hub.server_port}/moved"
    hub.moved["/moved"] = f"{hub.url}/bytes/x"
    told = await refusal(by_name, replace(model, source=read_source(source)), ModelRefused)
    assert "127.0.0.1 is not in the public internet" in told
    assert [each.path for each in hub.asked] == ["/moved"]
    plain = replace(model, source=read_source("http://example.org/model.safetensors"))
    assert "without TLS" in await refusal(closed, plain, ModelRefused)


async def test_a_file_larger_than_allowed_is_not_fetched(hub: ModelHub, tmp_path: Path) -> None:
    lab = ModelLab(hub, tmp_path, max_bytes=SIZE - 1)
    told = await refusal(lab, lab.locked(MODEL), ModelRefused)
    assert "COMFYQ_MODEL_MAX_BYTES" in told
    assert lab.parts == []


async def test_a_full_disk_is_told_before_and_during(hub: ModelHub, tmp_path: Path) -> None:
    small = ModelLab(hub, tmp_path, free_bytes=lambda _: 10**9 + SIZE - 1, least_free_bytes=10**9)
    model = small.locked(MODEL)
    told = await refusal(small, model, NoRoomForModel)
    assert "COMFYQ_MIN_FREE_BYTES keeps 1.00 GB" in told
    assert small.parts == []
    lab = ModelLab(hub, tmp_path)
    parts = tmp_path / "by-sha256" / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    (parts / f"{model.sha256}.part").symlink_to("/dev/full")
    told = await refusal(lab, model, NoRoomForModel)
    assert "No space left on device" in told
    assert "comfyq models prune" in told
    await lab.fetcher.bring(model)  # there is room again
    assert lab.seen() == {FILE: MODEL}


async def test_what_is_deleted_by_hand_comes_again(hub: ModelHub, tmp_path: Path) -> None:
    lab = ModelLab(hub, tmp_path)
    model = lab.locked(MODEL)
    await lab.fetcher.bring(model)
    link = tmp_path / "loras" / FILE
    link.unlink()
    assert lab.store.state(model) == (ModelState.UNLINKED, SIZE)
    assert await lab.fetcher.bring(model) is ModelState.UNLINKED
    assert (lab.seen(), len(lab.ranges)) == ({FILE: MODEL}, 1)
    link.resolve().unlink()
    assert lab.store.state(model) == (ModelState.MISSING, 0)
    assert await lab.fetcher.bring(model) is ModelState.MISSING
    assert (lab.seen(), len(lab.ranges)) == ({FILE: MODEL}, 2)


async def test_two_who_want_a_file_fetch_it_once(hub: ModelHub, tmp_path: Path) -> None:
    labs = [ModelLab(hub, tmp_path), ModelLab(hub, tmp_path)]
    for lab in labs:
        lab.fetcher = type(lab.fetcher)(
            origins=lab.fetcher._origins, store=lab.store, sleep=lambda _: asyncio.sleep(0.01)
        )
    model = labs[0].locked(MODEL)
    await asyncio.gather(*(lab.fetcher.bring(model) for lab in labs))
    assert (labs[0].seen(), labs[0].ranges) == ({FILE: MODEL}, [None])
    assert labs[0].parts == []


async def test_another_file_at_the_origin_is_told_at_once(hub: ModelHub, tmp_path: Path) -> None:
    lab = ModelLab(hub, tmp_path)
    url = hub.put("x", MODEL)
    model = replace(lab.locked(MODEL), source=read_source(url), size=SIZE + 1)
    told = await refusal(lab, model, ModelRefused)
    assert f"its origin has {SIZE} bytes" in told
