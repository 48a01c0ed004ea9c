"""What ports/spool.py promises, on every spool."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest
from blake3 import blake3

from comfyq.adapters.filesystem.spool import FileSpool
from comfyq.adapters.memory.spool import MemorySpool
from comfyq.ports.spool import Spool

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
        yield b"some"
        raise ConnectionError("gone")

    spool = FileSpool(folder=folder)
    with pytest.raises(ConnectionError):
        await spool.save("image.png", broken())

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"some"
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
