"""Files that clients of the Comfy API v2 store, and references to them in graphs."""

from functools import partial
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from blake3 import blake3

from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.files.asset import Asset, AssetId
from comfyq.domain.job import JobId
from comfyq.testing.memory.assets import StoredObject
from tests.access_lab import OTHER, AccessLab
from tests.api_lab import ApiLab, output
from tests.comfy_lab import ASSETS, GRAPH, JOBS, told_error

pytestmark = pytest.mark.anyio

CONTENT = b"\x89PNG\r\n\x1a\n a fox"
HASH = f"blake3:{blake3(CONTENT).hexdigest()}"
KNOWN = {"file_path": "photo.png", "content_type": "image/png"}


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


def sent(
    lab: ApiLab, content: bytes = CONTENT, *, fields: dict[str, Any] | None = None
) -> httpx2.Response:
    file = {"file": ("given.bin", content, "application/octet-stream")}
    return lab.client.post(ASSETS, files=file, data=KNOWN if fields is None else fields)


def form(*parts: tuple[str, str | None, bytes]) -> dict[str, Any]:
    """Return a request with the parts of a form in this order: name, name of a file, content."""
    body = b""
    for name, filename, content in parts:
        of_file = f'; filename="{filename}"' if filename else ""
        body += f'--x\r\nContent-Disposition: form-data; name="{name}"{of_file}\r\n\r\n'.encode()
        body += content + b"\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    return {"content": body + b"--x--\r\n", "headers": headers}


def reference(asset_id: str, **info: Any) -> dict[str, Any]:
    return {"__type": "core/ASSET", "info": {"id": asset_id, **info}}


def loading(value: Any) -> dict[str, Any]:
    return GRAPH | {"4": {"class_type": "LoadImage", "inputs": {"image": value}}}


# --- storing


def test_a_file_is_stored_once(lab: ApiLab) -> None:
    first = sent(lab)
    assert first.status_code == 201, first.text
    asset = first.json()
    assert (asset["hash"], asset["size_bytes"], asset["created_new"]) == (HASH, len(CONTENT), True)
    assert (asset["file_path"], asset["content_type"]) == ("photo.png", "image/png")
    assert asset["url"].startswith("http://lab:8000/api/v2/assets/")
    assert lab.client.get(asset["url"]).content == CONTENT
    again = sent(lab)
    assert (again.status_code, again.json()["created_new"]) == (200, False)
    assert again.json()["id"] == asset["id"]
    assert "created_new" not in lab.client.get(f"{ASSETS}/{asset['id']}").json()


def test_what_is_said_of_a_file_may_come_behind_it(lab: ApiLab) -> None:
    request = form(
        ("file", "x", CONTENT),
        ("file_path", None, b"photo.png"),
        ("content_type", None, b"image/png"),
        ("expected_hash", None, HASH.encode()),
        ("tags", None, b"a"),
        ("tags", None, b"b"),
    )
    asset = lab.client.post(ASSETS, **request)
    assert asset.status_code == 201, asset.text
    assert (asset.json()["file_path"], asset.json()["content_type"]) == ("photo.png", "image/png")


@pytest.mark.parametrize("is_first", [True, False])
def test_a_file_that_is_not_the_announced_one_is_not_stored(lab: ApiLab, is_first: bool) -> None:
    parts = [("file", "x", CONTENT), ("expected_hash", None, b"blake3:" + b"0" * 64)]
    refused = lab.client.post(ASSETS, **form(*(reversed(parts) if is_first else parts)))
    assert told_error(refused) == (409, "hash_mismatch")
    assert lab.assets.stored == {}
    assert lab.client.request("HEAD", f"{ASSETS}/by-hash/{HASH}").status_code == 404


def test_a_type_that_could_be_no_header_is_not_kept(lab: ApiLab) -> None:
    asset = sent(lab, b"text", fields={"content_type": "video/x\r\nX-Evil: 1"})
    assert asset.json()["content_type"] == "application/octet-stream"


@pytest.mark.parametrize("kept_for", ["59", "604801", "x", "-60", "٦٠"])
def test_a_time_to_be_kept_for_has_bounds(lab: ApiLab, kept_for: str) -> None:
    refused = sent(lab, fields=KNOWN | {"expires_in": kept_for})
    assert told_error(refused) == (422, "invalid_request")
    assert lab.assets.stored == {}


def test_a_broken_form_is_refused(lab: ApiLab) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    cut = lab.client.post(
        ASSETS, content=form(("file", "x", CONTENT))["content"][:-9], headers=headers
    )
    assert told_error(cut) == (422, "invalid_request")
    assert told_error(lab.client.post(ASSETS, content=b"a fox")) == (422, "invalid_request")
    assert told_error(sent(lab, b"")) == (422, "invalid_request")
    assert lab.assets.stored == {}


def test_a_file_that_is_too_large_is_refused() -> None:
    lab = ApiLab(COMFYQ_UPLOAD_MAX_BYTES=1_000)
    assert told_error(sent(lab, b"x" * 1_001)) == (413, "too_large")
    assert told_error(sent(lab, b"x" * 100_000)) == (413, "too_large")
    assert sent(lab, b"x" * 1_000).status_code == 201


# --- known content


@pytest.mark.parametrize("written", [HASH, HASH.replace(":", "%3A"), HASH.replace(":", "%3a")])
def test_content_is_known_by_its_hash(lab: ApiLab, written: str) -> None:
    def is_known() -> int:
        return lab.client.request("HEAD", f"{ASSETS}/by-hash/{written}").status_code

    assert is_known() == 404
    missing = lab.client.post(f"{ASSETS}/from-hash", json={"hash": HASH})
    assert told_error(missing) == (404, "blob_not_found")
    stored = sent(lab).json()
    assert is_known() == 200
    again = lab.client.post(f"{ASSETS}/from-hash", json={"hash": HASH, "file_path": "b.png"})
    assert (again.status_code, again.json()["id"]) == (200, stored["id"])
    assert again.json()["created_new"] is False


@pytest.mark.parametrize("wrong", ["none", "sha256:00", "blake3:00"])
def test_what_is_no_hash_is_not_known(lab: ApiLab, wrong: str) -> None:
    assert lab.client.request("HEAD", f"{ASSETS}/by-hash/{wrong}").status_code == 404
    refused = lab.client.post(f"{ASSETS}/from-hash", json={"hash": wrong})
    assert told_error(refused) == (404, "blob_not_found")


async def test_content_of_another_tenant_is_not_known() -> None:
    lab = AccessLab()
    file = {"files": {"file": ("a.png", CONTENT, "image/png")}}
    assert lab.ask("POST", ASSETS, await lab.key(), **file).status_code == 201
    other = await lab.key(tenant=OTHER)
    assert lab.ask("HEAD", f"{ASSETS}/by-hash/{HASH}", other).status_code == 404
    missing = lab.ask("POST", f"{ASSETS}/from-hash", other, json={"hash": HASH})
    assert told_error(missing) == (404, "blob_not_found")
    assert lab.ask("POST", ASSETS, other, **file).status_code == 201


async def test_a_file_that_is_sent_past_the_api_is_known_once_it_is_verified() -> None:
    """Storage has it before, but cannot tell its hash: its client may have announced any."""
    lab = ApiLab(linked_assets=True)

    def is_known() -> list[int]:
        named = lab.client.post(f"{ASSETS}/from-hash", json={"hash": HASH})
        return [
            lab.client.request("HEAD", f"{ASSETS}/by-hash/{HASH}").status_code,
            named.status_code,
        ]

    told = {"name": "a.png", "content_type": "image/png", "size_bytes": len(CONTENT)}
    wrong, right = (
        lab.client.post("/assets/uploads", json=told | {"blake3": blake3(each).hexdigest()}).json()
        for each in (CONTENT[::-1], CONTENT)
    )
    for offer, completed in ((wrong, 422), (right, 201)):
        assert offer["url"].startswith("https://assets.invalid/"), "not to this API"
        assert is_known() == [404, 404]
        lab.assets.stored[f"pending/{offer['id']}"] = StoredObject(CONTENT, "image/png")
        assert is_known() == [404, 404]
        assert lab.client.post(offer["urls"]["complete"]).status_code == completed
    assert is_known() == [200, 200]
    assert (sent(lab).status_code, sent(lab).json()["created_new"]) == (200, False)


# --- references


async def test_a_reference_becomes_an_input_file_of_the_job(lab: ApiLab) -> None:
    asset = sent(lab).json()
    graph = loading(reference(asset["id"].upper(), hash="blake3:00", file_path="x.png"))
    job = lab.client.post(JOBS, json={"workflow": graph})
    assert job.status_code == 201, job.text
    spec = await lab.records.spec(JobId(job.json()["id"]))
    [file] = spec.inputs
    assert (file.node, file.input, file.source) == ("4", "image", f"asset:{asset['id']}")
    assert "core/ASSET" not in str(spec.graph)
    shown = lab.client.get(f"{JOBS}/{job.json()['id']}/workflow").json()["workflow"]
    assert shown == loading(reference(asset["id"], hash=HASH))
    again = lab.client.post(JOBS, json={"workflow": shown})
    assert again.status_code == 201, "what is shown can be sent"


@pytest.mark.parametrize(
    "value",
    [
        reference(str(uuid4())),
        reference("none"),
        {"__type": "core/ASSET"},
        {"__type": "core/ASSET", "info": {"hash": HASH}},
        [[{"__type": "core/ASSET", "info": []}]],
    ],
    ids=["absent", "no id", "no info", "hash alone", "deep"],
)
def test_a_reference_that_leads_nowhere_is_a_missing_asset(lab: ApiLab, value: Any) -> None:
    headers = {"Idempotency-Key": "k"}
    refused = lab.client.post(JOBS, json={"workflow": loading(value)}, headers=headers)
    assert told_error(refused) == (422, "missing_asset")
    assert lab.client.post(JOBS, json={"workflow": GRAPH}, headers=headers).status_code == 201


async def test_so_is_one_to_another_tenants_file() -> None:
    lab = AccessLab()
    file = {"files": {"file": ("a.png", CONTENT, "image/png")}}
    theirs = lab.ask("POST", ASSETS, await lab.key(), **file).json()
    graph = {"workflow": loading(reference(theirs["id"]))}
    refused = lab.ask("POST", JOBS, await lab.key(tenant=OTHER), json=graph)
    assert told_error(refused) == (422, "missing_asset")


@pytest.mark.parametrize("is_deep", [False, True])
def test_a_reference_where_no_file_is_taken_is_refused(lab: ApiLab, is_deep: bool) -> None:
    found = reference(sent(lab).json()["id"])
    graph = GRAPH | {"4": {"class_type": "Custom", "inputs": {"a": [found] if is_deep else found}}}
    refused = lab.client.post(JOBS, json={"workflow": graph})
    assert told_error(refused) == (422, "invalid_workflow")
    [error] = refused.json()["error"]["details"]["errors"]
    assert error["field"] == "graph.4.inputs.a"


# --- deletion


async def test_a_file_is_deleted_once_and_stored_anew(lab: ApiLab) -> None:
    asset_id = sent(lab).json()["id"]
    assert lab.client.delete(f"{ASSETS}/{asset_id}").status_code == 204
    for answer in (
        lab.client.delete(f"{ASSETS}/{asset_id}"),
        lab.client.get(f"{ASSETS}/{asset_id}"),
        lab.client.get(f"{ASSETS}/{asset_id}/content"),
        lab.client.get(f"/assets/{asset_id}"),
    ):
        assert answer.status_code == 404
    assert lab.client.request("HEAD", f"{ASSETS}/by-hash/{HASH}").status_code == 404
    again = sent(lab)
    assert again.status_code == 201
    lab.clock.advance(601)
    await lab.reaper.reap()
    assert list(lab.assets.stored) == [f"assets/{again.json()['id']}"], "the first one's bytes"
    assert lab.client.get(again.json()["url"]).content == CONTENT


async def test_a_file_that_a_job_needs_is_kept_until_it_has_ended(lab: ApiLab) -> None:
    asset_id = sent(lab).json()["id"]
    graph = {"workflow": loading(reference(asset_id))}
    job_id = lab.client.post(JOBS, json=graph).json()["id"]
    await lab.start(job_id)
    refused = lab.client.delete(f"{ASSETS}/{asset_id}")
    assert told_error(refused) == (409, "asset_in_use")
    assert job_id not in refused.text, "it is not said what needs it"
    await lab.change(job_id, partial(jobs.succeed, token=1), outputs=[output()])
    assert lab.client.delete(f"{ASSETS}/{asset_id}").status_code == 204


async def test_a_job_that_is_stored_meanwhile_has_its_file(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its submission has read the asset before it is hidden, and stores the job afterwards."""
    asset_id = sent(lab).json()["id"]

    async def none_yet(asset: Asset) -> bool:
        return False

    with monkeypatch.context() as patched:
        deletion = lab.services.asset_deletion
        patched.setattr(deletion._uses, "are_needed", none_yet)
        job_id = lab.client.post(JOBS, json={"workflow": loading(reference(asset_id))}).json()["id"]
        assert lab.client.delete(f"{ASSETS}/{asset_id}").status_code == 204
    assert (await lab.files.get_for_job(AssetId(asset_id))).blake3 == HASH.removeprefix("blake3:")
    for _ in range(3):
        lab.clock.advance(3_601)
        await lab.reaper.reap()
        assert len(lab.assets.stored) == 1
    await lab.change(job_id, jobs.request_cancel)
    lab.clock.advance(3_601)
    await lab.reaper.reap()
    assert lab.assets.stored == {}
    assert (await lab.services.uploads.used(DEFAULT_TENANT))[0] == 0


async def test_all_data_of_a_tenant_has_hidden_files(lab: ApiLab) -> None:
    asset_id = sent(lab).json()["id"]
    assert lab.client.delete(f"{ASSETS}/{asset_id}").status_code == 204
    kept = sent(lab).json()["id"]
    portion = await lab.services.uploads.delete_some(DEFAULT_TENANT, most=10)
    assert portion.deleted == 2
    assert lab.assets.stored == {}
    assert lab.client.get(f"{ASSETS}/{kept}").status_code == 404


async def test_an_output_goes_with_its_job(lab: ApiLab) -> None:
    job_id = lab.client.post(JOBS, json={"workflow": GRAPH}).json()["id"]
    await lab.succeed(job_id, output())
    [made] = lab.client.get(f"{JOBS}/{job_id}").json()["outputs"]
    assert told_error(lab.client.delete(f"{ASSETS}/{made['id']}")) == (409, "asset_in_use")
