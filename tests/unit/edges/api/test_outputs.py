import asyncio
from dataclasses import replace

import pytest

from comfyq.domain.files.output import Output, OutputKind
from comfyq.edges.api.serving.ranges import ByteRange, Unsatisfiable, requested_range
from tests.api_lab import ApiLab, output

pytestmark = pytest.mark.anyio

CONTENT = bytes(range(256)) * 1_000
PICTURE = output('a b\u00fc"\r\n.png', size=len(CONTENT))


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


async def link_to(lab: ApiLab, stored: Output, content: bytes | None = CONTENT) -> str:
    """The signed link to the only output of a new job."""
    job_id = lab.submit()["id"]
    await lab.succeed(job_id, stored)
    if content is not None:
        lab.store(stored, content)
    return str(lab.show(job_id)["outputs"][0]["url"])


async def test_a_file_that_only_we_can_serve_is_streamed(lab: ApiLab) -> None:
    answer = lab.client.get(await link_to(lab, PICTURE))
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["etag"] == f'"{PICTURE.blake3}"'
    assert answer.headers["content-disposition"] == (
        "inline; filename*=UTF-8''a%20b%C3%BC%22%0D%0A.png"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_page_that_a_workflow_wrote_is_not_shown_as_ours(lab: ApiLab) -> None:
    page = output("x.html", kind=OutputKind.FILE, size=4)
    answer = lab.client.get(await link_to(lab, page, b"<ht>"))
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert "sandbox" in answer.headers["content-security-policy"]


async def test_nor_is_a_drawing_with_scripts(lab: ApiLab) -> None:
    drawing = replace(output("x.svg", size=4), content_type="image/svg+xml")
    answer = lab.client.get(await link_to(lab, drawing, b"<svg"))
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize("path", ["/health", "/generate", "/nowhere", "/openapi.json"])
def test_no_answer_of_ours_can_run_anything(lab: ApiLab, path: str) -> None:
    headers = lab.client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_nor_the_answer_to_a_defect(lab: ApiLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab.services, "health", None)
    answer = lab.client.get("/health")
    assert answer.status_code == 500
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_an_object_store_serves_its_files_itself() -> None:
    lab = ApiLab(linked_assets=True)
    link = await link_to(lab, output())
    answer = lab.client.get(link, follow_redirects=False)
    assert answer.status_code == 302
    assert answer.headers["location"].startswith("https://assets.invalid/outputs/a.png?")
    assert answer.headers["cache-control"] == "no-store"


async def test_a_text_output_is_served_from_the_table(lab: ApiLab) -> None:
    text = Output(
        node="5",
        filename="caption.txt",
        kind=OutputKind.TEXT,
        content_type="text/plain; charset=utf-8",
        size=6,
        blake3="cd" * 32,
        key="",
        text="ein Fü",
    )
    answer = lab.client.get(await link_to(lab, text, content=None), headers={"Range": "bytes=4-"})
    assert (answer.status_code, answer.content) == (206, b"F\xc3"), "size is in bytes"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-", 10, 256_000),
        ("bytes=-5", 255_995, 256_000),
        ("bytes=255999-999999", 255_999, 256_000),
        ("bytes=-999999", 0, 256_000),
    ],
)
async def test_a_part_of_a_file(lab: ApiLab, asked: str, start: int, end: int) -> None:
    answer = lab.client.get(await link_to(lab, PICTURE), headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, CONTENT[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/256000"
    assert answer.headers["content-length"] == str(end - start)


@pytest.mark.parametrize(
    "asked", ["bytes=", "bytes=-", "bytes=0-1,5-6", "lines=1-2", "x", "bytes=9-3", "bytes=a-b"]
)
async def test_what_is_no_single_range_gets_the_whole_file(lab: ApiLab, asked: str) -> None:
    answer = lab.client.get(await link_to(lab, PICTURE), headers={"Range": asked})
    assert (answer.status_code, len(answer.content)) == (200, len(CONTENT))


@pytest.mark.parametrize("asked", ["bytes=256000-", "bytes=-0", "bytes=999999-9999999"])
async def test_a_range_behind_the_end(lab: ApiLab, asked: str) -> None:
    answer = lab.client.get(await link_to(lab, PICTURE), headers={"Range": asked})
    assert (answer.status_code, answer.json()["code"]) == (416, "range-not-satisfiable")
    assert answer.headers["content-range"] == "bytes */256000"


async def test_a_range_of_another_version_gets_the_whole_file(lab: ApiLab) -> None:
    link = await link_to(lab, PICTURE)
    headers = {"Range": "bytes=0-0", "If-Range": '"other"'}
    assert lab.client.get(link, headers=headers).status_code == 200
    headers["If-Range"] = f'"{PICTURE.blake3}"'
    assert lab.client.get(link, headers=headers).status_code == 206


async def test_who_has_the_file_is_told_so(lab: ApiLab) -> None:
    link = await link_to(lab, PICTURE)
    answer = lab.client.get(link, headers={"If-None-Match": f'"{PICTURE.blake3}"'})
    assert (answer.status_code, answer.content) == (304, b"")


async def test_a_link_that_was_tampered_with(lab: ApiLab) -> None:
    link = await link_to(lab, PICTURE)
    path, query = link.split("?")
    forged = [
        path,
        f"{path}?{query[:-1]}",
        link.replace("expires=", "expires=9"),
        link.replace("/outputs/0", "/outputs/1"),
        f"{path}?expires=&signature=",
        f"{path}?expires={'9' * 5_000}&signature=x",
        f"{path}?expires=%00&signature=%FF",
    ]
    for url in forged:
        answer = lab.client.get(url)
        assert (answer.status_code, answer.json()["code"]) == (403, "bad-signature"), url


async def test_a_link_has_its_time(lab: ApiLab) -> None:
    link = await link_to(lab, PICTURE)
    lab.clock.advance(7 * 86_400 + 1)
    answer = lab.client.get(link)
    assert (answer.status_code, answer.json()["code"]) == (403, "bad-signature")
    assert "expired" in answer.json()["detail"]


async def test_a_file_that_is_gone_is_not_found(lab: ApiLab) -> None:
    link = await link_to(lab, PICTURE, content=None)
    answer = lab.client.get(link)
    assert (answer.status_code, answer.json()["code"]) == (404, "output-not-found")


async def test_an_empty_file(lab: ApiLab) -> None:
    answer = lab.client.get(await link_to(lab, output(size=0), b""))
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("index", ["-1", "x", "9" * 5_000, "10000"])
async def test_an_index_that_is_none(lab: ApiLab, index: str) -> None:
    job_id = lab.submit()["id"]
    answer = lab.client.get(f"/generate/{job_id}/outputs/{index}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "index")


async def test_ten_can_download_at_once(lab: ApiLab) -> None:
    link = await link_to(lab, PICTURE)
    answers = await asyncio.gather(*(asyncio.to_thread(lab.client.get, link) for _ in range(10)))
    assert {answer.content for answer in answers} == {CONTENT}


def test_ranges_are_exact_at_the_edges() -> None:
    assert requested_range("bytes=0-9", size=10) == ByteRange(0, 10)
    assert requested_range("bytes=9-", size=10) == ByteRange(9, 10)
    assert requested_range(None, size=10) is None
    with pytest.raises(Unsatisfiable):
        requested_range("bytes=0-", size=0)


@pytest.mark.parametrize("linked", [False, True])
async def test_head_tells_of_a_file_without_it(linked: bool) -> None:
    lab = ApiLab(linked_assets=linked)
    link = await link_to(lab, PICTURE)
    answer = lab.client.request("HEAD", link, follow_redirects=False)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["content-type"] == "image/png"
    same = lab.client.request("HEAD", link, headers={"If-None-Match": answer.headers["etag"]})
    assert same.status_code == 304
    assert lab.client.request("HEAD", link[:-1]).status_code == 403
