"""The contract of ports/assets.py, on every storage."""

import errno
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import minio
import pytest

from comfyq.adapters.filesystem.assets import FileAssets
from comfyq.adapters.minio.assets import MinioAssets
from comfyq.adapters.s3.assets import S3Assets
from comfyq.domain.errors import AssetsUnavailable, OutputNotFound
from comfyq.ports.assets import Assets
from comfyq.testing.memory.assets import MemoryAssets
from tests.fixtures.emulator import KEY, REGION, SECRET, Aws

pytestmark = pytest.mark.anyio

NAME = "outputs/3f2a/1/0-ComfyUI_00001_.png"
LARGE = 20 * 1024 * 1024  # more than a part of a multipart upload


def minio_client(url: str) -> minio.Minio:
    return minio.Minio(
        urlsplit(url).netloc, access_key=KEY, secret_key=SECRET, secure=False, region=REGION
    )


@pytest.fixture(
    params=[
        "memory",
        "filesystem",
        pytest.param("s3", marks=pytest.mark.s3),
        pytest.param("minio", marks=pytest.mark.s3),
    ]
)
def assets(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Assets]:
    match request.param:
        case "memory":
            yield MemoryAssets(linked=True)
        case "filesystem":
            yield FileAssets(folder=tmp_path / "assets")
        case "s3":
            aws: Aws = request.getfixturevalue("aws")
            bucket = request.getfixturevalue("provisioned").bucket
            yield S3Assets(client=lambda: aws.s3, bucket=bucket)
        case _:
            client = minio_client(request.getfixturevalue("aws").endpoint("s3"))
            bucket = request.getfixturevalue("provisioned").bucket
            yield MinioAssets(client=lambda: client, bucket=bucket)
            client._http.clear()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "rendered.png"
    path.write_bytes(bytes(range(256)) * 4)
    return path


async def everything(
    assets: Assets, key: str = NAME, *, start: int = 0, end: int | None = None
) -> bytes:
    return b"".join([chunk async for chunk in assets.read(key, start=start, end=end)])


async def test_what_was_put_is_read(assets: Assets, source: Path) -> None:
    await assets.put(NAME, source, content_type="image/png")
    assert await everything(assets) == source.read_bytes()
    assert source.exists()


async def test_a_part_is_read(assets: Assets, source: Path) -> None:
    await assets.put(NAME, source, content_type="image/png")
    body = source.read_bytes()
    for start, end in ((0, 1), (10, 20), (1000, None), (1000, 5000), (0, 1024), (1023, None)):
        assert await everything(assets, start=start, end=end) == body[start:end]
    for start, end in ((10, 10), (1024, None), (5000, 6000)):
        assert await everything(assets, start=start, end=end) == b""


async def test_a_large_file_comes_in_chunks(assets: Assets, tmp_path: Path) -> None:
    source = tmp_path / "video.mp4"
    body = os.urandom(1024) * (LARGE // 1024)
    source.write_bytes(body)
    await assets.put(NAME, source, content_type="video/mp4")
    chunks = [chunk async for chunk in assets.read(NAME)]
    assert b"".join(chunks) == body
    assert max(len(chunk) for chunk in chunks) <= 1024 * 1024


async def test_an_empty_file_is_a_file(assets: Assets, tmp_path: Path) -> None:
    source = tmp_path / "empty"
    source.write_bytes(b"")
    await assets.put(NAME, source, content_type="text/plain")
    assert await everything(assets) == b""


async def test_put_replaces_what_was_there(assets: Assets, source: Path) -> None:
    await assets.put(NAME, source, content_type="image/png")
    source.write_bytes(b"new")
    await assets.put(NAME, source, content_type="image/png")
    assert await everything(assets) == b"new"


async def test_keys_may_hold_any_character(assets: Assets, source: Path) -> None:
    key = "outputs/a b/ü 😀 #?&+%41.png"
    await assets.put(key, source, content_type="image/png")
    assert await everything(assets, key) == source.read_bytes()


async def test_what_is_not_there_is_not_found(assets: Assets, source: Path) -> None:
    await assets.put(NAME, source, content_type="image/png")
    for key in ("outputs/none.png", "outputs/3f2a", f"{NAME}/deeper"):
        with pytest.raises(OutputNotFound):
            await everything(assets, key)


async def test_what_was_deleted_is_gone_and_deleting_again_is_no_error(
    assets: Assets, source: Path
) -> None:
    await assets.put(NAME, source, content_type="image/png")
    await assets.delete(NAME)
    with pytest.raises(OutputNotFound):
        await everything(assets)
    await assets.delete(NAME)
    await assets.put(NAME, source, content_type="image/png")
    assert await everything(assets) == source.read_bytes()


async def test_a_missing_source_is_the_callers_error(assets: Assets, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await assets.put(NAME, tmp_path / "none", content_type="image/png")
    with pytest.raises(OutputNotFound):
        await everything(assets)


async def test_a_reader_may_stop_early(assets: Assets, source: Path) -> None:
    await assets.put(NAME, source, content_type="image/png")
    reading = assets.read(NAME)
    assert (await anext(reading))[:1] == b"\0"
    await reading.aclose()  # type: ignore[attr-defined]
    assert await everything(assets) == source.read_bytes()


async def test_a_link_downloads_the_file_itself(assets: Assets, source: Path) -> None:
    await assets.put(NAME, source, content_type="application/octet-stream")
    link = await assets.link(NAME, expires_s=60, content_type="image/png", filename='a "ü".png')
    if isinstance(assets, FileAssets):
        assert link is None
        return
    assert link is not None
    if isinstance(assets, MemoryAssets):
        assert NAME in link
        return
    with await anyio.to_thread.run_sync(urllib.request.urlopen, link) as answer:
        assert answer.read() == source.read_bytes()
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["content-disposition"] == (
            "inline; filename*=UTF-8''a%20%22%C3%BC%22.png"
        )


@pytest.mark.parametrize("content_type", ["text/html", "image/svg+xml", "application/xml"])
async def test_what_may_run_is_downloaded_by_any_link(
    assets: Assets, source: Path, content_type: str, request: pytest.FixtureRequest
) -> None:
    if isinstance(assets, FileAssets | MemoryAssets):
        pytest.skip("it hands out no real links")
    await assets.put(NAME, source, content_type=content_type)
    link = await assets.link(NAME, expires_s=60, content_type=content_type, filename="a.html")
    assert link is not None
    with await anyio.to_thread.run_sync(urllib.request.urlopen, link) as answer:
        served = answer.headers
    bucket = request.getfixturevalue("provisioned").bucket
    stored = request.getfixturevalue("aws").s3.head_object(Bucket=bucket, Key=NAME)
    for headers in (served, stored["ResponseMetadata"]["HTTPHeaders"]):
        assert headers["content-type"] == "application/octet-stream"
        assert headers["content-disposition"].startswith("attachment")


async def test_a_link_ends(assets: Assets, source: Path) -> None:
    if isinstance(assets, FileAssets | MemoryAssets):
        pytest.skip("it hands out no real links")
    await assets.put(NAME, source, content_type="image/png")
    link = await assets.link(NAME, expires_s=1, content_type="image/png", filename="a.png")
    assert link is not None

    def refused() -> bool:
        try:
            urllib.request.urlopen(link).close()
        except urllib.error.HTTPError as error:
            error.close()
            return error.code == 403
        return False

    with anyio.fail_after(10):
        while not await anyio.to_thread.run_sync(refused):  # noqa: ASYNC110 - another process's
            await anyio.sleep(0.1)


def send(url: str, headers: Mapping[str, str], body: bytes) -> int:
    request = urllib.request.Request(url, body, dict(headers), method="PUT")
    with urllib.request.urlopen(request) as answer:
        return int(answer.status)


async def test_a_client_sends_a_file_itself(assets: Assets) -> None:
    key, body = "pending/5f0c8a1e", b"\x89PNG" * 100
    link = await assets.upload_link(key, expires_s=60, size=len(body), content_type="image/png")
    if isinstance(assets, FileAssets):
        assert link is None
        return
    assert link is not None
    assert link.headers == {"Content-Type": "image/png", "Content-Length": str(len(body))}
    if isinstance(assets, MemoryAssets):
        assert key in link.url
        return
    await anyio.to_thread.run_sync(send, link.url, link.headers, body)
    assert await everything(assets, key) == body


async def test_s3_is_told_what_may_be_sent(aws: Aws) -> None:
    """Look-alikes check no signed headers; S3 does."""
    assets = S3Assets(client=lambda: aws.s3, bucket="b")
    link = await assets.upload_link("pending/x", expires_s=60, size=7, content_type="image/png")
    signed = parse_qs(urlsplit(link.url).query)
    assert signed["X-Amz-SignedHeaders"] == ["content-length;content-type;host"]
    assert signed["X-Amz-Expires"] == ["60"]


@pytest.mark.parametrize("key", ["../out.png", "a/../../out.png", "/etc/out.png", "", ".", "a\0b"])
async def test_a_key_leads_nowhere_else(tmp_path: Path, source: Path, key: str) -> None:
    assets = FileAssets(folder=tmp_path / "deep" / "assets")
    with pytest.raises(ValueError, match="is no key"):
        await assets.put(key, source, content_type="image/png")
    with pytest.raises(ValueError, match="is no key"):
        await everything(assets, key)
    with pytest.raises(ValueError, match="is no key"):
        await assets.delete(key)
    assert [path.name for path in tmp_path.iterdir()] == ["rendered.png"]


async def test_files_leave_nothing_behind(tmp_path: Path, source: Path) -> None:
    assets = FileAssets(folder=tmp_path / "assets")
    await assets.put(NAME, source, content_type="image/png")
    stored = [path for path in (tmp_path / "assets").rglob("*") if path.is_file()]
    assert len(stored) == 1
    await assets.delete(NAME)
    assert [path for path in (tmp_path / "assets").rglob("*") if path.is_file()] == []


async def test_a_file_of_the_same_file_system_is_stored_without_a_copy(
    tmp_path: Path, source: Path
) -> None:
    assets = FileAssets(folder=tmp_path / "assets")
    content = source.read_bytes()
    for _ in range(2):  # the second one replaces the file by itself
        await assets.put(NAME, source, content_type="image/png")
    [stored] = [path for path in (tmp_path / "assets").rglob("*") if path.is_file()]
    assert stored.samefile(source)
    source.unlink()
    assert await everything(assets) == content


async def test_what_cannot_have_a_second_name_is_copied(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(os, "link", refuse)
    assets = FileAssets(folder=tmp_path / "assets")
    await assets.put(NAME, source, content_type="image/png")
    assert await everything(assets) == source.read_bytes()


async def test_of_a_symbolic_link_the_file_is_stored(tmp_path: Path, source: Path) -> None:
    alias = tmp_path / "alias"
    alias.symlink_to(source)
    assets = FileAssets(folder=tmp_path / "assets")
    await assets.put(NAME, alias, content_type="image/png")
    [stored] = [path for path in (tmp_path / "assets").rglob("*") if path.is_file()]
    assert not stored.is_symlink()
    assert await everything(assets) == source.read_bytes()


async def test_a_long_name_is_stored_like_any_other(tmp_path: Path, source: Path) -> None:
    assets = FileAssets(folder=tmp_path / "assets")
    keys = [f"outputs/job/1/{'ü' * 200}{n}.png" for n in range(2)]
    await assets.put(keys[0], source, content_type="image/png")
    assert await everything(assets, keys[0]) == source.read_bytes()
    with pytest.raises(OutputNotFound):
        await everything(assets, keys[1])


async def test_puts_and_deletes_of_neighbours_do_not_meet(tmp_path: Path, source: Path) -> None:
    assets = FileAssets(folder=tmp_path / "assets")

    async def come_and_go(n: int) -> None:
        for _ in range(20):
            await assets.put(f"outputs/job/{n}.png", source, content_type="image/png")
            await assets.delete(f"outputs/job/{n}.png")

    async with anyio.create_task_group() as group:
        for n in range(4):
            group.start_soon(come_and_go, n)


async def test_storage_that_does_not_answer_is_unavailable(tmp_path: Path, source: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_bytes(b"")
    s3 = Aws("http://127.0.0.1:9").s3
    client = minio_client("http://127.0.0.1:9")
    client._http.connection_pool_kw["retries"] = False
    for assets in (
        FileAssets(folder=blocked / "assets"),
        S3Assets(client=lambda: s3, bucket="nowhere"),
        MinioAssets(client=lambda: client, bucket="nowhere"),
    ):
        with pytest.raises(AssetsUnavailable):
            await assets.put(NAME, source, content_type="image/png")


@pytest.mark.s3
async def test_a_missing_bucket_is_unavailable_and_made_only_on_request(
    aws: Aws, source: Path
) -> None:
    client = minio_client(aws.endpoint("s3"))
    assets = MinioAssets(client=lambda: client, bucket="made-on-request")
    with pytest.raises(AssetsUnavailable):
        await assets.put(NAME, source, content_type="image/png")
    with pytest.raises(AssetsUnavailable):
        await everything(S3Assets(client=lambda: aws.s3, bucket="made-on-request"))
    await assets.ensure_bucket()
    await assets.ensure_bucket()
    await assets.put(NAME, source, content_type="image/png")
    assert await everything(assets) == source.read_bytes()
    client._http.clear()
