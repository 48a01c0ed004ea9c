"""``/api/v2/assets``: outputs and stored files by their ids."""

import httpx2
import pytest

from tests.api_lab import ApiLab, output
from tests.comfy_lab import ASSETS, BODY, JOBS, told_error

pytestmark = pytest.mark.anyio

CONTENT = bytes(range(200))
PICTURE = output(size=len(CONTENT))
KEYS = {
    *("id", "hash", "size_bytes", "content_type", "file_path", "created_at"),
    *("url", "url_expires_at", "expires_at", "job_id"),
}


async def made_by(lab: ApiLab) -> tuple[str, str]:
    """Return the ids of a new job and of its output."""
    job_id = lab.client.post(JOBS, json=BODY).json()["id"]
    await lab.succeed(job_id, PICTURE)
    lab.store(PICTURE, CONTENT)
    [made] = lab.client.get(f"{JOBS}/{job_id}").json()["outputs"]
    return job_id, made["id"]


def get(lab: ApiLab, path: str, **headers: str) -> httpx2.Response:
    return lab.client.get(f"{ASSETS}/{path}", headers=headers, follow_redirects=False)


async def test_an_output_is_an_asset() -> None:
    lab = ApiLab()
    job_id, asset_id = await made_by(lab)
    asset = get(lab, asset_id).json()
    assert asset.keys() == KEYS
    assert (asset["id"], asset["job_id"]) == (asset_id, job_id)
    assert asset["size_bytes"] == len(CONTENT)
    assert lab.client.get(asset["url"]).content == CONTENT
    assert get(lab, f"{asset_id}/content").content == CONTENT


async def test_its_bytes_may_be_asked_for_in_parts() -> None:
    lab = ApiLab()
    _, asset_id = await made_by(lab)
    part = get(lab, f"{asset_id}/content", Range="bytes=0-4")
    assert (part.status_code, part.content) == (206, CONTENT[:5])
    assert part.headers["content-range"] == f"bytes 0-4/{len(CONTENT)}"
    behind = get(lab, f"{asset_id}/content", Range="bytes=999-")
    assert told_error(behind) == (416, "range_not_satisfiable")
    head = lab.client.request("HEAD", f"{ASSETS}/{asset_id}/content")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(CONTENT)))


async def test_where_the_storage_has_urls_it_is_led_to_one() -> None:
    lab = ApiLab(linked_assets=True)
    _, asset_id = await made_by(lab)
    led = get(lab, f"{asset_id}/content")
    assert led.status_code == 302
    assert led.headers["cache-control"] == "no-store"
    assert PICTURE.key in led.headers["location"]


async def test_a_stored_file_is_shown_as_an_asset() -> None:
    lab = ApiLab()
    stored = lab.client.post("/assets?filename=a.txt", content=b"a fox").json()
    asset = get(lab, stored["id"]).json()
    assert asset.keys() == KEYS
    assert (asset["file_path"], asset["hash"]) == ("a.txt", f"blake3:{stored['blake3']}")
    assert (asset["job_id"], asset["size_bytes"]) == (None, 5)
    assert lab.client.get(asset["url"]).content == b"a fox"


async def test_an_output_that_is_not_there() -> None:
    lab = ApiLab()
    job_id, asset_id = await made_by(lab)
    for absent in (job_id, f"{asset_id[:-4]}0002", f"{asset_id[:-4]}ffff", f"{job_id}.1"):
        assert told_error(get(lab, absent)) == (404, "not_found")
