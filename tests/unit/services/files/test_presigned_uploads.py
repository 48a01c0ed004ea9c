"""``/assets/uploads``: announced, sent to storage by the client, checked, and an asset then."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from blake3 import blake3

from comfyq.domain.caller import Caller, Scope, TenantId
from comfyq.domain.errors import AssetsUnavailable, UploadNotFound, UploadTaken
from comfyq.domain.files.media_types import may_be
from comfyq.domain.files.upload import UploadId
from comfyq.testing.memory.assets import StoredObject
from tests.api_lab import ApiLab

pytestmark = pytest.mark.anyio

CONTENT = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 10
DIGEST = blake3(CONTENT).hexdigest()
FILE = {"name": "../a.png", "content_type": "image/png", "size_bytes": len(CONTENT)}
NOBODYS = "5f0c8a1e-3f5b-4a52-9d0e-7c1f2b9a6d34"


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab(linked_assets=True)


def offered(lab: ApiLab, **more: Any) -> dict[str, Any]:
    answer = lab.client.post("/assets/uploads", json=FILE | more)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def send(lab: ApiLab, offer: dict[str, Any], content: bytes = CONTENT) -> None:
    lab.assets.stored[f"pending/{offer['id']}"] = StoredObject(content, "image/png")


def complete(lab: ApiLab, offer: dict[str, Any]) -> Any:
    return lab.client.post(offer["urls"]["complete"])


def test_a_file_that_was_sent_becomes_an_asset(lab: ApiLab) -> None:
    offer = offered(lab, blake3=DIGEST)
    assert offer["method"] == "PUT"
    assert f"pending/{offer['id']}" in offer["url"]
    assert offer["headers"] == {
        "Content-Type": "image/png",
        "Content-Length": str(len(CONTENT)),
    }
    assert offer["expires_at"] == "2026-01-01T01:00:00.000Z"
    send(lab, offer)
    answer = complete(lab, offer)
    assert answer.status_code == 201, answer.text
    asset = answer.json()
    assert answer.headers["location"] == asset["url"]
    assert (asset["filename"], asset["size"], asset["blake3"]) == ("a.png", len(CONTENT), DIGEST)
    assert list(lab.assets.stored) == [f"assets/{asset['id']}"], "nothing is left in pending/"
    assert lab.client.get(asset["url"]).json() == asset
    asked = {"workflow": "sd15-img2img", "prompt": "x", "image": asset["source"]}
    assert lab.client.post("/generate", json=asked).status_code == 202


def test_completing_again_gives_the_same_asset(lab: ApiLab) -> None:
    offer = offered(lab)
    send(lab, offer)
    assert complete(lab, offer).json() == complete(lab, offer).json()


def test_the_same_bytes_are_one_asset_however_they_came(lab: ApiLab) -> None:
    sent = lab.client.post("/assets", content=CONTENT).json()
    offer = offered(lab)
    send(lab, offer)
    assert complete(lab, offer).json()["id"] == sent["id"]


def test_what_was_not_sent_yet_can_be_sent_still(lab: ApiLab) -> None:
    offer = offered(lab)
    answer = complete(lab, offer)
    assert (answer.status_code, answer.json()["code"]) == (409, "upload-incomplete")
    send(lab, offer)
    assert complete(lab, offer).status_code == 201


@pytest.mark.parametrize(
    ("announced", "content", "field"),
    [
        ({}, CONTENT[:-1], "size_bytes"),
        ({}, CONTENT * 2, "size_bytes"),
        ({"content_type": "image/jpeg"}, CONTENT, "content_type"),
        ({"content_type": "video/mp4"}, CONTENT, "content_type"),
        ({"blake3": "0" * 64}, CONTENT, "blake3"),
    ],
)
def test_what_is_not_as_announced_is_no_asset(
    lab: ApiLab, announced: dict[str, Any], content: bytes, field: str
) -> None:
    offer = offered(lab, **announced)
    send(lab, offer, content)
    answer = complete(lab, offer)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-upload")
    assert [each["field"] for each in answer.json()["errors"]] == [field]
    assert lab.assets.stored == {}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"size_bytes": 0}, "size_bytes"),
        ({"size_bytes": None}, "size_bytes"),
        ({"size_bytes": True}, "size_bytes"),
        ({"size_bytes": "3"}, "size_bytes"),
        ({"size_bytes": 3.0}, "size_bytes"),
        ({"name": "a\r\nX: y.png"}, "name"),
        ({"name": "a.png\n"}, "name"),
        ({"name": "a\u0085.png"}, "name"),
        ({"blake3": "x"}, "blake3"),
        ({"content_type": "png\r\nX: y"}, "content_type"),
        ({"key": "outputs/x"}, "key"),
    ],
)
def test_what_cannot_be_announced(lab: ApiLab, wrong: dict[str, Any], field: str) -> None:
    answer = lab.client.post("/assets/uploads", json=FILE | wrong)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field]


def test_a_file_may_not_be_too_large(lab: ApiLab) -> None:
    answer = lab.client.post("/assets/uploads", json=FILE | {"size_bytes": 8_000_001})
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


@pytest.fixture
def folder() -> ApiLab:
    """Whose storage has no URLs: the API takes the files itself."""
    return ApiLab()


def put(lab: ApiLab, url: str, content: bytes = CONTENT) -> Any:
    return lab.client.put(url, content=content)


def test_a_file_is_sent_to_the_api_where_storage_has_no_urls(folder: ApiLab) -> None:
    offer = offered(folder, blake3=DIGEST)
    assert (offer["method"], offer["headers"]) == ("PUT", {})
    assert complete(folder, offer).json()["code"] == "upload-incomplete"
    assert put(folder, offer["url"]).status_code == 204
    asset = complete(folder, offer).json()
    assert (asset["filename"], asset["size"], asset["blake3"]) == ("a.png", len(CONTENT), DIGEST)
    assert list(folder.assets.stored) == [f"assets/{asset['id']}"]


def test_it_may_be_larger_than_other_bodies(folder: ApiLab) -> None:
    content = CONTENT + bytes(7_000_000)
    offer = offered(folder, size_bytes=len(content))
    assert put(folder, offer["url"], content).status_code == 204
    assert complete(folder, offer).json()["size"] == len(content)


def test_what_is_sent_to_the_api_must_be_as_announced(folder: ApiLab) -> None:
    offer = offered(folder)
    answer = put(folder, offer["url"], CONTENT[:-1])
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-upload")
    assert folder.assets.stored == {}
    assert put(folder, offer["url"]).status_code == 204, "it can be sent again"


def test_a_link_takes_one_file(folder: ApiLab) -> None:
    offer, other = offered(folder), CONTENT[:-1] + b"x"
    assert put(folder, offer["url"]).status_code == 204
    answer = put(folder, offer["url"], other)
    assert (answer.status_code, answer.json()["code"]) == (409, "upload-taken")
    assert put(folder, offer["url"]).status_code == 204, "the same file may be sent again"
    assert list(folder.assets.stored) == [f"assets/{complete(folder, offer).json()['id']}"]


async def test_a_link_takes_one_of_concurrent_files(folder: ApiLab) -> None:
    offer = offered(folder)
    upload_id, query = UploadId(offer["id"]), dict(parse_qsl(urlsplit(offer["url"]).query))
    arrived = asyncio.Barrier(3)

    async def send_late(last: bytes) -> str:
        async def chunks() -> AsyncIterator[bytes]:
            yield CONTENT[:-1]
            await arrived.wait()
            yield last

        try:
            return (await folder.presigned_uploads.receive(upload_id, query, chunks())).blake3
        except UploadTaken:
            return "taken"

    results = await asyncio.gather(*map(send_late, [b"x", b"y", b"z"]))
    assert sorted(results).count("taken") == 2
    assert len(folder.assets.stored) == 1


def test_what_is_sent_after_its_completion_is_no_other_asset(lab: ApiLab) -> None:
    offer = offered(lab)
    send(lab, offer)
    asset = complete(lab, offer).json()
    send(lab, offer, CONTENT[:-1] + b"x")
    assert complete(lab, offer).json() == asset


@pytest.mark.parametrize(
    "damage",
    [lambda url: url[:-1] + "g", lambda url: url.partition("?")[0]],
    ids=["forged", "none"],
)
def test_only_a_signed_link_may_be_sent_to(folder: ApiLab, damage: Callable[[str], str]) -> None:
    answer = put(folder, damage(offered(folder)["url"]))
    assert (answer.status_code, answer.json()["code"]) == (403, "bad-signature")
    assert folder.assets.stored == {}


def test_a_link_ends_with_its_offer(folder: ApiLab) -> None:
    offer = offered(folder)
    folder.clock.advance(3_601)
    assert put(folder, offer["url"]).status_code == 403


@pytest.mark.parametrize("upload", [NOBODYS, "no-uuid"])
def test_an_upload_that_nobody_announced(lab: ApiLab, upload: str) -> None:
    answer = lab.client.post(f"/assets/uploads/{upload}/complete")
    assert (answer.status_code, answer.json()["code"]) == (404, "upload-not-found")


async def test_another_tenants_upload_is_not_found(lab: ApiLab) -> None:
    offer = offered(lab)
    send(lab, offer)
    stranger = Caller(TenantId("stranger"), frozenset({Scope.SUBMIT}))
    with pytest.raises(UploadNotFound):
        await lab.presigned_uploads.complete(stranger, UploadId(offer["id"]))


def test_storage_that_tells_nothing_may_have_got_nothing(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forbidden(key: str) -> AsyncIterator[bytes]:
        raise AssetsUnavailable("AccessDenied")
        yield b""

    monkeypatch.setattr(lab.assets, "read", forbidden)
    answer = complete(lab, offered(lab))
    assert answer.status_code == 503
    assert "was the file sent" in answer.json()["detail"]


def test_what_cannot_be_deleted_fails_nothing(lab: ApiLab, monkeypatch: pytest.MonkeyPatch) -> None:
    offer = offered(lab)
    send(lab, offer)

    async def away(key: str) -> None:
        raise AssetsUnavailable("away")

    monkeypatch.setattr(lab.assets, "delete", away)
    assert complete(lab, offer).status_code == 201


@pytest.mark.parametrize(
    ("content_type", "head", "may"),
    [
        ("image/png", b"\x89PNG\r\n\x1a\n", True),
        ("IMAGE/PNG; q=1", b"GIF89a", False),
        ("image/webp", b"RIFF1234WEBPVP8 ", True),
        ("image/webp", b"RIFF1234WAVEfmt ", False),
        ("audio/wav", b"RIFF1234WAVEfmt ", True),
        ("video/mp4", b"\0\0\0\x18ftypmp42", True),
        ("audio/mpeg", b"hello", False),
        ("application/octet-stream", b"anything", True),
        ("image/x-new", b"anything", True),
    ],
)
def test_first_bytes(content_type: str, head: bytes, may: bool) -> None:
    assert may_be(content_type, head) is may
