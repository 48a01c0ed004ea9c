"""Files that are larger than what one process holds, or what its surroundings take."""

import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2

from comfyq.adapters.filesystem.assets import FileAssets
from comfyq.bootstrap.api import api_app
from tests.api_lab import ApiLab
from tests.asgi_client import AsgiClient
from tests.comfy_lab import ASSETS, told_error

MEGABYTE = 1_000_000
FORM = {"Content-Type": "multipart/form-data; boundary=x"}


async def form(megabytes: int) -> AsyncIterator[bytes]:
    """Yield a form with a file of so many, each made when it is asked for."""
    yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    for number in range(megabytes):
        yield bytes([number % 256]) * MEGABYTE
    yield b"\r\n--x--\r\n"


def peak_of(lab: ApiLab, megabytes: int) -> int:
    """Return how many bytes of memory it took at most to store a file, once it is stored."""
    tracemalloc.start()
    try:
        answer = lab.client.post(ASSETS, content=form(megabytes), headers=FORM)
        assert answer.status_code == 201, answer.text
        assert answer.json()["size_bytes"] == megabytes * MEGABYTE
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_file_is_stored_in_as_little_memory_whatever_its_size(tmp_path: Path) -> None:
    lab = ApiLab(COMFYQ_UPLOAD_MAX_BYTES=100 * MEGABYTE, COMFYQ_DATA_DIR=tmp_path)
    lab.services.uploads._assets = FileAssets(folder=tmp_path / "assets")
    peak_of(lab, 1)  # what is made at the first use of anything
    assert peak_of(lab, 60) < 2 * peak_of(lab, 6)


def test_where_less_is_taken_the_other_way_is_told() -> None:
    lab = ApiLab()
    client = AsgiClient(api_app(lab.services, most_file_bytes=5_000), base_url="http://lab:8000")

    def sent(path: str, size: int) -> httpx2.Response:
        return client.post(path, files={"file": ("a.txt", bytes(size))})

    for path in ("/assets", ASSETS):
        assert sent(path, 4_000).is_success
        refused = sent(path, 5_001)
        assert refused.status_code == 413
        assert "`POST /assets/uploads`" in refused.text
    assert told_error(sent(ASSETS, 5_001)) == (413, "too_large")
    announced = {"name": "a.txt", "content_type": "text/plain", "size_bytes": 6 * MEGABYTE}
    assert client.post("/assets/uploads", json=announced).status_code == 201
