"""Sources of input files as clients write them."""

import sys
from base64 import b64encode
from types import FrameType
from typing import Any

import pytest

from comfyq.domain.files.sources import (
    BadSource,
    check_source,
    is_source,
    normalized,
    read_data_uri,
    shown_source,
    without_secrets,
)
from comfyq.domain.job import JobError

CONTENT = bytes(range(256))
ASSET = "5f0c8a1e-3f5b-4a52-9d0e-7c1f2b9a6d34"
SIGNED = "https://b.s3.example/a%2Fb.png?X-Amz-Signature=SECRET#frag"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("HTTPS://Example.com/A", "https://Example.com/A"),
        (" \n\thttp://a/b%20c?d=%7E \r\n", "http://a/b%20c?d=%7E"),
        ("DATA:image/png;base64,AA==", "data:image/png;base64,AA=="),
        (f"Asset:{ASSET}", f"asset:{ASSET}"),
        (f" {ASSET} ", ASSET),
    ],
)
def test_schemes_have_no_case_and_white_space_around_counts_nothing(
    written: str, meant: str
) -> None:
    assert normalized(written) == meant
    assert normalized(meant) == meant
    check_source(normalized(written))


@pytest.mark.parametrize("text", ["a.png", "C:/a.png", "www.a/b.png", "example.png [input]", ""])
def test_other_texts_name_files_that_comfyui_has(text: str) -> None:
    assert not is_source(text)


@pytest.mark.parametrize("gap", [" ", "\n", "\r\n\t", "%20", "%0A", "%0d%0a"])
def test_white_space_inside_base64_is_skipped(gap: str) -> None:
    encoded = b64encode(CONTENT).decode()
    lines = gap.join(encoded[at : at + 76] for at in range(0, len(encoded), 76))
    file = read_data_uri(normalized(f"  DATA:image/png;BASE64,{gap}{lines}{gap}"))
    assert file.content == CONTENT
    assert file.content_type == "image/png"


def lines_run(source: str) -> int:
    """Return how many lines of Python run while a data URI is read."""
    before, ran = sys.gettrace(), 0

    def trace(_frame: FrameType, event: str, _of: object) -> Any:
        nonlocal ran
        ran += event == "line"
        return trace

    sys.settrace(trace)
    try:
        read_data_uri(source)
    finally:
        sys.settrace(before)
    return ran


@pytest.mark.parametrize("head", ["data:,", "data:;base64,"])
def test_escapes_are_decoded_by_no_loop_of_python(head: str) -> None:
    assert lines_run(f"{head}{'%41' * 40_000}") == lines_run(f"{head}{'%41' * 4}")


def test_each_byte_may_be_escaped() -> None:
    for escape in ("%{:02x}", "%{:02X}"):
        written = "".join(map(escape.format, CONTENT))
        assert read_data_uri(f"data:,{written}").content == CONTENT
        between = read_data_uri(f"data:,=41_\r\n={written}=\u00e9 =\n").content
        assert between == b"=41_\r\n=" + CONTENT + b"=\xc3\xa9 =\n"


@pytest.mark.parametrize("broken", ["100%", "%4", "%zz", "%%41", "%\n41", "%\r\n", "%%"])
def test_a_percent_sign_that_escapes_nothing_is_refused(broken: str) -> None:
    for head in ("data:,", "data:;base64,"):
        with pytest.raises(BadSource, match="write it as %25, or send the data in base64"):
            read_data_uri(head + broken)


@pytest.mark.parametrize("head", ["data:,", "data:;base64,", "data:\ud800,"])
def test_half_a_surrogate_pair_is_no_data(head: str) -> None:
    with pytest.raises(BadSource, match="half a surrogate pair"):
        read_data_uri(f"{head}QQ\ud800")


@pytest.mark.parametrize("broken", ["AAA", "A*==", "AA=A"])
def test_broken_base64_is_refused(broken: str) -> None:
    with pytest.raises(BadSource, match="base64 is broken"):
        read_data_uri(f"data:image/png;base64,{broken}")


@pytest.mark.parametrize(
    "url",
    [
        "http://user:SECRET@h/a",
        "HTTP://user@h",
        "https://@h/a",
        "http://a@b@h:80/?x",
        "https://SECRET%40x@h",
    ],
)
def test_a_user_in_a_url_is_refused_before_a_job_is_made(url: str) -> None:
    with pytest.raises(BadSource, match="user or password") as raised:
        check_source(normalized(url))
    assert "SECRET" not in str(raised.value)


@pytest.mark.parametrize("url", ["http://h/a@b", "http://h/?a=b@c", "http://h#a@b"])
def test_an_at_sign_elsewhere_is_no_user(url: str) -> None:
    check_source(url)


@pytest.mark.parametrize("url", ["http://h:80a/", "http://[::1/", "http://h:99999/"])
def test_what_is_no_url_is_refused_before_a_job_is_made(url: str) -> None:
    with pytest.raises(BadSource, match="no valid URL"):
        check_source(url)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (SIGNED, "https://b.s3.example/a%2Fb.png"),
        ("http://u:p@h?q", "http://h"),
        ("http://h/a?b=https://c/d?e=f", "http://h/a"),
        ("http://h/a#b", "http://h/a"),
        ("https:/h/x?SECRET", "https:/h/x"),
        ("www.h/x.png?SECRET", "www.h/x.png"),
        (f"asset:{ASSET}", f"asset:{ASSET}"),
        ("data:text/plain,a?b", "data:text/plain,a?b"),
    ],
)
def test_a_url_is_shown_without_what_may_be_a_secret(source: str, shown: str) -> None:
    assert shown_source(source) == shown


def test_texts_lose_the_secrets_of_every_url_in_them() -> None:
    text = f"cannot load '{SIGNED}', nor HTTPS://u:SECRET@h/x?y=SECRET. Why?"
    assert without_secrets(text) == (
        "cannot load 'https://b.s3.example/a%2Fb.png nor HTTPS://h/x Why?"
    )
    assert without_secrets("no https:/h/x?SECRET, WWW.h/x?SECRET") == "no https:/h/x WWW.h/x"
    assert without_secrets("is 3/4 of a://b?") == "is 3/4 of a://b?"


def test_no_error_of_a_job_keeps_a_secret() -> None:
    error = JobError("node-error", f"no {SIGNED}", "3", (f"at {SIGNED}",)).shortened
    assert "SECRET" not in error.message + error.details[0]


def test_a_data_uri_has_few_parameters() -> None:
    with pytest.raises(BadSource, match=r"4000009 characters stand before its data"):
        read_data_uri("data:image/png" + ";a=b" * 1_000_000 + ",x")


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/a.png?signature=x",
        " FTP://user:word@host/a.png",
        "https:/h/x?SECRET",
        "HTTPS:/h/x",
        "www.h/x.png?SECRET",
    ],
)
def test_a_url_of_another_scheme_is_a_source_that_is_refused(url: str) -> None:
    assert is_source(url)
    with pytest.raises(BadSource, match=r"an http\(s\) URL"):
        check_source(normalized(url))
