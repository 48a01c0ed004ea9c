"""Forms: their one file, whatever the pieces they arrive in, and what they may cost."""

import gc
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfyq.edges.api.multipart import (
    MAX_LONG_TEXT_BYTES,
    MAX_PARTS,
    MAX_TEXT_BYTES,
    BadForm,
    FormFile,
    file_of,
    form_of,
)

pytestmark = pytest.mark.anyio

FORM = "multipart/form-data; boundary=x"
FIELD = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nno file\r\n'
HEAD = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n'
FILE = HEAD + b"Content-Type: image/png\r\n\r\ncontent\r\n"
END = b"--x--\r\n"
PIECE_BYTES = 64 * 1024
ALL_BUT_BOUNDARIES = st.sampled_from([b"--x", b"\r\n", b"--", b"-", b"x", b"\x00", b"a"])


async def arriving(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def cut(body: bytes, piece_bytes: int = PIECE_BYTES) -> Iterable[bytes]:
    return (body[at : at + piece_bytes] for at in range(0, len(body), piece_bytes))


async def read(pieces: Iterable[bytes], content_type: str = FORM) -> tuple[str, str, bytes]:
    file = await file_of(content_type, arriving(pieces))
    content = b"".join([chunk async for chunk in file.chunks])
    return file.filename, file.content_type, content


@given(content=st.lists(ALL_BUT_BOUNDARIES).map(b"".join), piece_bytes=st.integers(1, 40))
async def test_content_is_the_same_in_any_pieces(content: bytes, piece_bytes: int) -> None:
    boundary = "--no-part-of-it"
    head = HEAD.replace(b"--x", b"--" + boundary.encode())
    body = head + b"\r\n" + content + f"\r\n--{boundary}--\r\n".encode()
    content_type = f'multipart/form-data; boundary="{boundary}"'
    assert await read(cut(body, piece_bytes), content_type) == ("a.png", "text/plain", content)


@pytest.mark.parametrize("form", [FIELD + FILE + END, FILE + FIELD + END, FILE + END + b"more"])
@pytest.mark.parametrize("piece_bytes", [1, 7, 10_000])
async def test_fields_and_what_follows_the_form_are_passed_over(
    form: bytes, piece_bytes: int
) -> None:
    assert await read(cut(form, piece_bytes)) == ("a.png", "image/png", b"content")


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        (FILE + FILE + END, "more than one file"),
        (FILE, "cut off"),
        (FILE + END[:-3], "cut off"),
        (FIELD + END, "has no file"),
        (b"", "cut off"),
        (FIELD * MAX_PARTS + FILE + END, "more than 20 parts"),
        (HEAD + b"A: b\r\n" * 8 + b"\r\nx\r\n" + END, "header count"),
        (HEAD + b"A: " + b"b" * 5_000 + b"\r\n\r\nx\r\n" + END, "header size"),
        (HEAD + b"a" * 5_000, "header size"),
    ],
)
async def test_a_form_that_is_none_says_why(form: bytes, reason: str) -> None:
    for piece_bytes in (1, 10_000):
        with pytest.raises(BadForm, match=reason):
            await read(cut(form, piece_bytes))


@pytest.mark.parametrize("content_type", ["multipart/form-data", f"{FORM}{'y' * 300}"])
async def test_a_form_has_a_boundary_of_a_sane_size(content_type: str) -> None:
    with pytest.raises(BadForm, match="oundary"):
        await read([FILE + END], content_type)


@pytest.mark.parametrize(
    ("given_type", "media_type"),
    [
        (b"IMAGE/PNG; q=1", "image/png"),
        (b"image/svg+xml", "image/svg+xml"),
        (b"no type", "application/octet-stream"),
        (b"a/b\x00c", "application/octet-stream"),
        (b"a/\xff", "application/octet-stream"),
    ],
)
async def test_a_media_type_is_one_or_any(given_type: bytes, media_type: str) -> None:
    form = HEAD + b"Content-Type: " + given_type + b"\r\n\r\nx\r\n" + END
    assert await read([form]) == ("a.png", media_type, b"x")


async def test_a_name_may_have_any_letters_and_signs() -> None:
    name = 'ä; "b".png'
    quoted = name.replace('"', '\\"').encode()
    form = b'--x\r\nContent-Disposition: form-data; name="f"; filename="' + quoted
    assert (await read([form + b'"\r\n\r\nx\r\n' + END]))[0] == name


async def test_a_form_may_have_many_files_and_long_texts() -> None:
    kept: list[tuple[str, str, bytes]] = []

    async def keep(file: FormFile) -> int:
        content = b"".join([chunk async for chunk in file.chunks]) if file.name != "c" else b"-"
        kept.append((file.name, file.filename, content))
        return len(kept)

    second = FILE.replace(b'"f"', b'"b"').replace(b"content", b"second")
    unread = FILE.replace(b'"f"', b'"c"')
    long = FIELD.replace(b"no file", b"x" * MAX_LONG_TEXT_BYTES)
    for piece_bytes in (1, 7, 100_000):
        kept.clear()
        body = FILE + FIELD + second + unread + FILE + long + END
        form = await form_of(FORM, arriving(cut(body, piece_bytes)), keep=keep)
        assert form.files == {"f": [1, 4], "b": [2], "c": [3]}
        assert [content for _, _, content in kept] == [b"content", b"second", b"-", b"content"]
        assert [len(text) for text in form.texts["a"]] == [len("no file"), MAX_LONG_TEXT_BYTES]
    for broken, reason in ((long.replace(b"xx", b"xxx", 1), "`a` has over"), (FILE[:-9], "cut")):
        with pytest.raises(BadForm, match=reason):
            await form_of(FORM, arriving([broken + (END if b"xxx" in broken else b"")]), keep=keep)


def large(size: int) -> Iterable[bytes]:
    yield HEAD + b"\r\n"
    for _ in range(size // PIECE_BYTES):
        yield bytes(PIECE_BYTES)
    yield b"\r\n" + END


async def test_memory_does_not_grow_with_the_file() -> None:
    peaks = []
    for size in (4_000_000, 32_000_000):
        tracemalloc.start()
        file = await file_of(FORM, arriving(large(size)))
        assert sum([len(chunk) async for chunk in file.chunks]) == size // PIECE_BYTES * PIECE_BYTES
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] < 10 * PIECE_BYTES


def header_of_semicolons(size: int) -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; filename="' + b";" * size
    return head + b"\r\n\r\nx\r\n" + END


def headers_of_semicolons(size: int) -> bytes:
    head = HEAD + (b'A: "' + b";" * 4_000 + b"\r\n") * 7 + b"\r\nx\r\n"
    return head * (size // len(head)) + END


CASES: dict[str, Callable[[int], bytes]] = {
    "a plain file": lambda size: b"".join(large(20 * size)),
    "an unclosed quote and semicolons": header_of_semicolons,
    "many such headers": headers_of_semicolons,
    "all but boundaries": lambda size: HEAD + b"\r\n" + b"\r\n--y" * (size // 5) + b"\r\n" + END,
    "boundaries but for their end": lambda size: HEAD + b"\r\n" + b"\r\n--xy" * (size // 6) + END,
    "a name that does not end": lambda size: b"--x\r\n" + b"a" * size,
    "line ends alone": lambda size: b"\r\n" * (size // 2),
}


async def cpu_s(form: bytes) -> float:
    """Return the least CPU time of some runs: what else the machine does is noise."""
    times = []
    gc.disable()  # a collection reads what all tests have made
    for _ in range(5):
        began = time.thread_time()
        with suppress(BadForm):
            file = await file_of(FORM, arriving(cut(form)))
            async for _chunk in file.chunks:
                pass
        times.append(time.thread_time() - began)
    gc.enable()
    return min(times)


@pytest.mark.parametrize("name", CASES)
async def test_twice_the_form_takes_at_most_twice_the_time(name: str) -> None:
    make, size = CASES[name], 200_000
    floor = await cpu_s(FILE + END)  # of a form that is next to nothing
    assert await cpu_s(make(2 * size)) < 2.5 * await cpu_s(make(size)) + 10 * floor


@pytest.mark.parametrize("is_first", [True, False])
async def test_texts_beside_the_file_are_kept(is_first: bool) -> None:
    texts = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="' + name + b'"\r\n\r\n' + text + b"\r\n"
        for name, text in ((b"tags", b"a"), (b"tags", b"b"), (b"path", b"\xc3\xbc" * 2_000))
    )
    body = (texts + FILE if is_first else FILE + texts) + END
    file = await file_of(FORM, arriving(cut(body, 7)))
    assert b"".join([chunk async for chunk in file.chunks]) == b"content"
    assert file.texts["tags"] == ["a", "b"]
    assert file.texts["path"] == ["\u00fc" * (MAX_TEXT_BYTES // 2)]
