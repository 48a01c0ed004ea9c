"""``/assets``, and the files that requests bring along or name, over in-memory ports."""

from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from comfyq.adapters.filesystem.spool import _Growing
from comfyq.domain.files.asset import taken
from comfyq.domain.files.sources import BadSource, read_data_uri
from comfyq.domain.job import JobId
from comfyq.edges.api.bodies import MAX_BODY_BYTES
from comfyq.services.files.asset_deletion import GRACE
from tests.api_lab import ApiLab

pytestmark = pytest.mark.anyio

CONTENT = b"\x89PNG\r\n\x1a\n--not the boundary\r\n\r\n\x00\xff"
PNG = {"Content-Type": "image/png"}
DATA = f"data:image/png;base64,{b64encode(CONTENT).decode()}"
NOBODYS = "5f0c8a1e-3f5b-4a52-9d0e-7c1f2b9a6d34"


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


def stored(lab: ApiLab, content: bytes = CONTENT) -> dict[str, Any]:
    answer = lab.client.post("/assets?filename=a.png", content=content, headers=PNG)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    assert answer.headers["location"] == body["url"]
    return body


def test_a_body_is_stored_as_it_is(lab: ApiLab) -> None:
    asset = stored(lab)
    assert asset["blake3"] == blake3(CONTENT).hexdigest()
    assert (asset["size"], asset["content_type"]) == (len(CONTENT), "image/png")
    assert asset["source"] == f"asset:{asset['id']}"
    assert lab.assets.stored[f"assets/{asset['id']}"].body == CONTENT
    assert lab.client.get(asset["url"]).json() == asset


async def test_what_counts_against_the_stored_bytes_is_listed_and_deleted(lab: ApiLab) -> None:
    made = []
    for number in range(5):
        lab.clock.advance(1)
        made.append(stored(lab, CONTENT + bytes([number])))
    newest = made[::-1]
    first = lab.client.get("/assets?limit=3").json()
    assert first["assets"] == newest[:3]
    rest = lab.client.get("/assets", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert (rest["assets"], rest["next_cursor"]) == (newest[3:], None)
    assert lab.client.get("/assets?cursor=x").status_code == 422

    used, unused = newest[:2]
    job = lab.client.post(
        "/workflows/sd15-img2img/generate", json={"prompt": "a fox", "image": used["source"]}
    ).json()
    refused = lab.client.delete(used["url"])
    assert (refused.status_code, refused.json()["code"]) == (409, "asset-in-use")
    assert lab.client.delete(unused["url"]).status_code == 204
    again = lab.client.delete(unused["url"])
    assert (again.status_code, again.json()["code"]) == (404, "asset-not-found")
    assert lab.client.delete(f"/assets/{NOBODYS}").status_code == 404
    assert lab.client.get("/assets").json()["assets"] == [used, *newest[2:]]
    assert lab.client.get(unused["url"]).status_code == 404
    lab.client.delete(f"/generate/{job['id']}")
    lab.clock.advance(1)  # so that the log has an order
    assert lab.client.delete(used["url"]).status_code == 204

    def counted() -> int:
        return int(lab.client.get("/quota").json()["stored_bytes"]["used"])

    noted = lab.client.get("/audit").json()["entries"]
    assert [(each["action"], each["subject"]) for each in noted] == [
        ("file-deleted", each["id"]) for each in (used, unused)
    ]
    assert noted[0]["details"] == {"filename": "a.png"}
    before = counted()
    lab.clock.advance(GRACE.total_seconds())
    await lab.services.asset_deletion.go_on()
    assert counted() == before - sum(taken(each["size"]) for each in (used, unused))


@pytest.mark.parametrize("size", [10, 300_000])  # written at the end, or on the way
async def test_a_full_disk_is_no_defect(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    full = Path("/dev/full")  # which every write finds full
    monkeypatch.setattr(_Growing, "_opened", lambda _: full.open("wb"))
    answer = lab.client.post("/assets?filename=a.png", content=bytes(size), headers=PNG)
    assert (answer.status_code, answer.json()["code"]) == (503, "assets-unavailable")
    assert "No space left on device" in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) > 0
    monkeypatch.undo()
    stored(lab)


def test_a_name_with_control_characters_is_refused(lab: ApiLab) -> None:
    answer = lab.client.post("/assets?filename=a%0D%0AX.png", content=CONTENT, headers=PNG)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == ["filename"]


def test_so_is_the_file_of_a_form(lab: ApiLab) -> None:
    form = {"file": ("../dir/ä b.png", CONTENT, "image/png")}
    answer = lab.client.post("/assets", files=form, data={"note": "x"})
    assert answer.status_code == 201, answer.text
    asset = answer.json()
    assert (asset["filename"], asset["content_type"]) == ("ä b.png", "image/png")
    assert lab.assets.stored[f"assets/{asset['id']}"].body == CONTENT


@pytest.mark.parametrize(
    ("named", "content", "kind"),
    [
        ("application/x-www-form-urlencoded", CONTENT, "image/png"),  # by `curl --data-binary`
        ("application/octet-stream", b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        ("application/octet-stream", b"\0\0\0\x18ftypmp42\0\0\0\0", "video/mp4"),
        ("application/octet-stream", b"fLaC\0\0\0\x22", "audio/flac"),
        ("application/octet-stream", b"what is it", "application/octet-stream"),
        ("image/jpeg", b"as it is named", "image/jpeg"),
    ],
)
def test_a_kind_that_nobody_named_is_seen_from_the_first_bytes(
    lab: ApiLab, named: str, content: bytes, kind: str
) -> None:
    answer = lab.client.post("/assets", content=content, headers={"Content-Type": named})
    assert answer.json()["content_type"] == kind


def test_a_later_upload_renews_kind_and_expiry(lab: ApiLab) -> None:
    def sent(kind: str) -> dict[str, Any]:
        answer = lab.client.post("/assets", content=b"bytes", headers={"Content-Type": kind})
        body: dict[str, Any] = answer.json()
        return body

    first = sent("text/plain")
    lab.clock.advance(3_600)
    renewed = sent("text/csv")
    assert (renewed["id"], renewed["content_type"]) == (first["id"], "text/csv")
    assert renewed["expires_at"] > first["expires_at"]
    lab.clock.advance(3_600)
    unnamed = sent("application/octet-stream")
    assert unnamed["content_type"] == "text/csv", "nothing better is known"
    assert unnamed["expires_at"] > renewed["expires_at"]
    assert lab.client.get(renewed["url"]).json() == unnamed


def test_the_same_bytes_are_one_asset(lab: ApiLab) -> None:
    first = stored(lab)
    again = lab.client.post("/assets", files={"file": ("b.png", CONTENT)}).json()
    assert again["id"] == first["id"]
    assert stored(lab, b"other")["id"] != first["id"]
    assert len(lab.assets.stored) == 2


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "image/png"),
        (b"--x\r\n", "multipart/form-data"),
        (b"--y\r\n\r\n\r\n--y--", "multipart/form-data; boundary=x"),
        (b"--x\r\nContent-Disposition: form-data", "multipart/form-data; boundary=x"),
        (b"--x--\r\n", "multipart/form-data; boundary=x"),
        (b"--x\r\nbroken--x--", "multipart/form-data; boundary=x"),
        (
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nno file\r\n--x--',
            "multipart/form-data; boundary=x",
        ),
        (
            b'--x\r\nContent-Disposition: form-data; filename="a"\r\n\r\n\r\n--x--',
            "multipart/form-data; boundary=x",
        ),
    ],
    ids=["empty", "none", "other", "cut", "no parts", "no head", "no file", "empty file"],
)
def test_what_is_no_file_is_refused(lab: ApiLab, body: bytes, content_type: str) -> None:
    answer = lab.client.post("/assets", content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")
    assert not lab.assets.stored


def test_a_file_may_be_larger_than_a_request_but_not_than_its_limit() -> None:
    lab = ApiLab(COMFYQ_UPLOAD_MAX_BYTES=MAX_BODY_BYTES + 10)
    assert stored(lab, bytes(MAX_BODY_BYTES + 10))["size"] == MAX_BODY_BYTES + 10
    too_much = bytes(MAX_BODY_BYTES + 11)
    whole = lab.client.post("/assets", content=too_much, headers=PNG)
    form = lab.client.post("/assets", files={"file": ("a", too_much)})

    async def pieces() -> AsyncIterator[bytes]:  # without a Content-Length
        yield too_much[:MAX_BODY_BYTES]
        yield too_much[MAX_BODY_BYTES:]

    piecewise = lab.client.post("/assets", content=pieces(), headers=PNG)
    for answer in (whole, form, piecewise):
        assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    assert len(lab.assets.stored) == 1
    fitting = lab.client.post("/assets", files={"file": ("a", too_much[:-1])})
    assert (fitting.status_code, fitting.json()["size"]) == (201, MAX_BODY_BYTES + 10)


@pytest.mark.parametrize("asset_id", [NOBODYS, "no-uuid"])
def test_there_is_no_such_asset(lab: ApiLab, asset_id: str) -> None:
    answer = lab.client.get(f"/assets/{asset_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "asset-not-found")


def test_storage_that_does_not_answer_stores_nothing(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    from comfyq.domain.errors import AssetsUnavailable

    async def away(*_: Any, **__: Any) -> None:
        raise AssetsUnavailable("away")

    monkeypatch.setattr(lab.assets, "put", away)
    answer = lab.client.post("/assets", content=CONTENT, headers=PNG)
    assert (answer.status_code, answer.json()["code"]) == (503, "assets-unavailable")
    monkeypatch.undo()
    stored(lab)


def submit(lab: ApiLab, image: Any, **more: Any) -> Any:
    return lab.client.post(
        "/generate", json={"workflow": "sd15-img2img", "prompt": "a fox", "image": image} | more
    )


@pytest.mark.parametrize("form", [DATA, {"source": DATA, "fit": "contain"}], ids=["bare", "fitted"])
async def test_what_a_request_brings_becomes_an_asset(lab: ApiLab, form: Any) -> None:
    answer = submit(lab, form)
    assert answer.status_code == 202, answer.text
    spec = await lab.records.spec(JobId(answer.json()["id"]))
    asset = stored(lab)
    [file] = spec.inputs
    assert file.source == asset["source"]
    assert spec.parameters["image"] in (
        asset["source"],
        {"source": asset["source"], "fit": "contain"},
    )
    assert DATA not in str(lab.show(answer.json()["id"]))
    assert submit(lab, spec.parameters["image"]).status_code == 202, "it can be asked for again"
    assert len(lab.assets.stored) == 1


async def test_so_does_what_a_graph_brings(lab: ApiLab) -> None:
    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": DATA}}}
    answer = lab.client.post("/generate", json={"graph": graph})
    spec = await lab.records.spec(JobId(answer.json()["id"]))
    assert spec.inputs[0].source == stored(lab)["source"]


def test_a_dry_run_stores_nothing(lab: ApiLab) -> None:
    body = {"workflow": "sd15-img2img", "prompt": "a fox", "image": DATA}
    assert lab.client.post("/generate?dry_run=true", json=body).status_code == 200
    assert not lab.assets.stored


@pytest.mark.parametrize(
    "source",
    [
        "example.png",
        "/etc/passwd",
        "ftp://example.com/a.png",
        "asset:no-uuid",
        NOBODYS,
        f"asset:{NOBODYS}",
        "data:image/png;base64",
        "data:image/png;base64,????",
        "data:image/png;base64,",
        "https://example.com/" + "a" * 4_000,
    ],
    ids=lambda source: source[:30] + str(len(source)),
)
def test_a_source_that_is_none_is_refused_by_its_name(lab: ApiLab, source: str) -> None:
    answer = submit(lab, source)
    assert answer.status_code == 422, answer.text
    assert [each["field"] for each in answer.json()["errors"]] == ["image"]


def test_an_asset_is_deleted_a_month_after_its_last_use() -> None:
    import asyncio

    lab = ApiLab(COMFYQ_RETENTION_S=30 * 86_400)
    asset = stored(lab)
    lab.clock.advance(29 * 86_400)
    assert submit(lab, asset["source"]).status_code == 202
    lab.clock.advance(29 * 86_400)
    assert asyncio.run(lab.uploads.expire()) == 0
    lab.clock.advance(2 * 86_400)
    assert asyncio.run(lab.uploads.expire()) == 1
    assert not lab.assets.stored
    assert lab.client.get(asset["url"]).status_code == 404
    assert submit(lab, asset["source"]).status_code == 422
    assert stored(lab)["id"] != asset["id"], "the same bytes may come again"


async def test_a_deletion_that_was_interrupted_is_finished(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    from comfyq.domain.errors import AssetsUnavailable

    async def away(key: str) -> None:
        raise AssetsUnavailable("away")

    asset = stored(lab)
    lab.clock.advance(31 * 86_400)
    monkeypatch.setattr(lab.assets, "delete", away)
    with pytest.raises(AssetsUnavailable):
        await lab.uploads.expire()
    assert lab.client.get(asset["url"]).status_code == 404
    monkeypatch.undo()
    assert await lab.uploads.expire() == 1
    assert not lab.assets.stored


@pytest.mark.parametrize(
    ("uri", "content_type", "content"),
    [
        (DATA, "image/png", CONTENT),
        ("data:,a%20b", "text/plain", b"a b"),
        ("DATA:image/png;charset=x;base64,QQ==", "image/png", b"A"),
        ("data:image/png;base64,QUI%3D", "image/png", b"AB"),
    ],
)
def test_data_uris(uri: str, content_type: str, content: bytes) -> None:
    data = read_data_uri(uri)
    assert (data.content_type, data.content) == (content_type, content)


@pytest.mark.parametrize("uri", ["data:", "data:,", "data:;base64,Q", "data:;base64,Q*=="])
def test_broken_data_uris(uri: str) -> None:
    with pytest.raises(BadSource):
        read_data_uri(uri)


def test_uploads_count_as_requests() -> None:
    lab = ApiLab(COMFYQ_REQUESTS_PER_MINUTE=2)
    offer = {"name": "a.png", "content_type": "image/png", "size_bytes": 3}
    codes = [lab.client.post("/assets", content=b"abc").status_code for _ in range(2)]
    assert codes == [201, 201]
    refused = [
        lab.client.post("/assets", content=b"abc"),
        lab.client.post("/assets/uploads", json=offer),
    ]
    assert [answer.json()["code"] for answer in refused] == ["rate-limited", "rate-limited"]


def test_stored_files_are_bounded_in_total() -> None:
    used, most = taken(len(CONTENT)), taken(len(CONTENT)) + taken(20)
    lab = ApiLab(COMFYQ_UPLOADS_BYTES=most)
    asset = stored(lab)
    offer = {"name": "a.png", "content_type": "image/png", "size_bytes": 21}
    data = f"data:image/png;base64,{b64encode(bytes(21)).decode()}"
    asked = {"workflow": "sd15-img2img", "prompt": "x", "image": data}
    for refused in (
        lab.client.post("/assets", content=bytes(21), headers=PNG),
        lab.client.post("/assets", files={"file": ("a", bytes(21))}),
        lab.client.post("/assets/uploads", json=offer),
        lab.client.post("/generate", json=asked),
    ):
        problem = refused.json()
        assert (refused.status_code, problem["code"]) == (413, "uploads-full")
        for part in (f"take {used} bytes", f"the most is {most}", "604800 s"):
            assert part in problem["detail"]
    assert list(lab.assets.stored) == [f"assets/{asset['id']}"]
    assert stored(lab)["id"] == asset["id"], "what is there needs no room"
    assert stored(lab, bytes(20))


async def test_an_upload_that_was_announced_finds_no_room_later() -> None:
    lab = ApiLab(COMFYQ_UPLOADS_BYTES=taken(len(CONTENT)))
    offer = {"name": "a.png", "content_type": "image/png", "size_bytes": len(CONTENT)}
    announced = lab.client.post("/assets/uploads", json=offer).json()
    stored(lab, b"abc")
    refused = lab.client.put(announced["url"], content=CONTENT)
    assert (refused.status_code, refused.json()["code"]) == (413, "uploads-full")
    lab.clock.advance(7 * 86_400 + 1)
    assert await lab.uploads.expire() == 1
    assert stored(lab)
