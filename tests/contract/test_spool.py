"""The contract of ports/spool.py, on every spool."""

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import anyio
import pytest
from blake3 import blake3

from comfyq.adapters.filesystem.spool import TOGETHER_BYTES, FileSpool, _Growing
from comfyq.domain.files.output import Output, OutputKind
from comfyq.domain.job import JobId
from comfyq.ports.spool import Parcel, Spool, Spooled
from comfyq.testing.memory.spool import MemorySpool

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "worker" / "spool"


@pytest.fixture(params=["memory", "file"])
def spool(request: pytest.FixtureRequest, folder: Path) -> Iterator[Spool]:
    if request.param == "file":
        yield FileSpool(folder=folder)
        return
    spool = MemorySpool()
    yield spool
    spool.close()


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_it_keeps_size_and_hash_of_what_came(spool: Spool) -> None:
    parts = [hashlib.sha256(bytes([n])).digest() * 999 for n in range(9)]
    spooled = await spool.save("image.png", chunks(*parts))
    body = b"".join(parts)
    assert spooled.path.read_bytes() == body
    assert (spooled.size, spooled.blake3) == (len(body), blake3(body).hexdigest())
    await spool.discard(spooled)
    assert not spooled.path.exists()
    await spool.discard(spooled)


async def test_nothing_at_all_is_an_empty_file(spool: Spool) -> None:
    spooled = await spool.save("empty", chunks())
    assert spooled.path.read_bytes() == b""
    assert (spooled.size, spooled.blake3) == (0, blake3(b"").hexdigest())


async def test_files_of_one_name_do_not_overwrite_each_other(spool: Spool) -> None:
    first = await spool.save("image.png", chunks(b"first"))
    second = await spool.save("image.png", chunks(b"second"))
    assert (first.path.read_bytes(), second.path.read_bytes()) == (b"first", b"second")


@pytest.mark.parametrize("name", ["../../out.png", "/etc/out.png", "sub/out.png", "..", ""])
async def test_a_name_leads_nowhere_else(folder: Path, name: str) -> None:
    spooled = await FileSpool(folder=folder).save(name, chunks(b"x"))
    assert spooled.path.parent == folder


async def test_what_breaks_off_leaves_nothing_behind(folder: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield bytes(TOGETHER_BYTES)  # more than stays in memory
        raise ConnectionError("gone")

    spool = FileSpool(folder=folder)
    with pytest.raises(ConnectionError):
        await spool.save("image.png", broken())

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(TOGETHER_BYTES)
            await anyio.sleep(0.001)

    with anyio.move_on_after(0.05):
        await spool.save("image.png", endless())
    assert list(folder.iterdir()) == []


async def test_what_an_earlier_process_left_is_cleared(folder: Path) -> None:
    await FileSpool(folder=folder).save("image.png", chunks(b"x"))
    spool = FileSpool(folder=folder)
    spool.clear()
    assert not folder.exists()
    await spool.save("image.png", chunks(b"x"))


def image(spooled: Spooled) -> Output:
    return Output(
        node="9",
        filename="image.png",
        kind=OutputKind.IMAGE,
        content_type="image/png",
        size=spooled.size,
        blake3=spooled.blake3,
        key="outputs/j/1/0-image.png",
    )


async def parcel(spool: Spool, body: bytes, job: str = "j") -> Parcel:
    spooled = await spool.save("image.png", chunks(body))
    return Parcel(JobId(job), 1, [(image(spooled), spooled)])


async def test_a_parcel_is_kept_until_it_is_dropped(spool: Spool) -> None:
    first, second = await parcel(spool, b"first", "j1"), await parcel(spool, b"second", "j2")
    assert await spool.keep(first)
    assert await spool.keep(second)
    assert [kept.job_id for kept in await spool.kept()] == ["j1", "j2"]
    [(output, spooled)] = (await spool.kept())[0].contents
    assert spooled is not None
    assert (output, spooled.path.read_bytes()) == (image(spooled), b"first")
    await spool.drop(first)
    assert not spooled.path.exists()
    assert [kept.job_id for kept in await spool.kept()] == ["j2"]


async def test_a_text_in_a_parcel_has_no_file(spool: Spool) -> None:
    text = replace(image(Spooled(Path(), 2, "")), kind=OutputKind.TEXT, key="", text="hi")
    await spool.keep(Parcel(JobId("j"), 1, [(text, None)]))
    [kept] = await spool.kept()
    assert list(kept.contents) == [(text, None)]


@pytest.fixture(params=["memory", "file"])
def small(request: pytest.FixtureRequest, folder: Path) -> Iterator[Spool]:
    """A spool with room for ten bytes of parcels."""
    if request.param == "file":
        yield FileSpool(folder=folder, max_kept_bytes=10)
        return
    spool = MemorySpool(max_kept_bytes=10)
    yield spool
    spool.close()


async def test_the_oldest_parcels_make_room(small: Spool) -> None:
    for number in range(4):
        assert await small.keep(await parcel(small, b"four", f"j{number}"))
    assert [kept.job_id for kept in await small.kept()] == ["j2", "j3"]


async def test_what_is_too_large_is_not_kept(small: Spool) -> None:
    large = await parcel(small, b"eleven byte")
    assert not await small.keep(large)
    assert await small.kept() == []
    [(_, spooled)] = large.contents
    assert spooled is not None
    assert not spooled.path.exists()


async def test_the_next_process_has_the_parcels_and_nothing_else(folder: Path) -> None:
    former = FileSpool(folder=folder)
    await former.keep(await parcel(former, b"kept"))
    torn = await parcel(former, b"torn", "torn")
    await former.keep(torn)
    [(_, spooled)] = torn.contents
    assert spooled is not None
    spooled.path.write_bytes(b"to")
    await former.save("image.png", chunks(b"left"))

    spool = FileSpool(folder=folder)
    spool.clear()

    assert [kept.job_id for kept in await spool.kept()] == ["j"]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 2, "the parcel's note and its file"


async def test_a_thread_that_a_canceled_save_left_leaves_no_file_open(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, canceled = threading.Event(), threading.Event()
    opened: list[BinaryIO] = []
    create = _Growing._opened

    def late(growing: _Growing) -> BinaryIO:
        begun.set()
        canceled.wait(10)
        opened.append(create(growing))
        return opened[-1]

    monkeypatch.setattr(_Growing, "_opened", late)
    saving = asyncio.ensure_future(
        FileSpool(folder=folder).save("a", chunks(bytes(TOGETHER_BYTES)))
    )
    await anyio.to_thread.run_sync(begun.wait)
    saving.cancel()
    with suppress(asyncio.CancelledError):
        await saving
    canceled.set()
    with anyio.fail_after(10):
        while not opened or list(folder.iterdir()):  # noqa: ASYNC110 - a thread's work
            await anyio.sleep(0.001)
    assert opened[0].closed
