"""Files of users in browsers."""

import pytest

from comfyq.domain.files.serving import OCTETS, disposition, is_shown, served_type
from comfyq.services.worker.output_files import content_type_of


@pytest.mark.parametrize(
    "name", ["a.png", "a.JPG", "a.webp", "a.gif", "a.avif", "a.mp4", "a.webm", "a.flac", "a.mp3"]
)
def test_pictures_video_and_audio_are_shown(name: str) -> None:
    content_type = content_type_of(name)
    assert disposition(content_type, name) == f"inline; filename*=UTF-8''{name}"
    assert served_type(content_type) == content_type


@pytest.mark.parametrize(
    "name",
    [
        "a.html",
        "a.HTM",
        "a.svg",
        "a.svgz",
        "a.xml",
        "a.xhtml",
        "a.xsl",
        "a.js",
        "a.mjs",
        "a.css",
        "a.pdf",
        "a.swf",
        "a.mht",
        "a.eml",
        "a",
        "a.png.html",
        "a.rss",
        "a.vtt",
        "a.dae",
    ],
)
def test_what_may_run_is_downloaded_as_bytes(name: str) -> None:
    content_type = content_type_of(name)
    assert disposition(content_type, name).startswith("attachment; ")
    assert served_type(content_type) == OCTETS


@pytest.mark.parametrize("name", ["a.txt", "a.json", "a.glb", "a.obj", "a.stl", "a.zip", "a.csv"])
def test_data_is_downloaded_as_what_it_is_or_as_bytes(name: str) -> None:
    content_type = content_type_of(name)
    assert not is_shown(content_type)
    assert served_type(content_type) in (content_type, OCTETS)


@pytest.mark.parametrize(
    "content_type",
    [
        "IMAGE/SVG+XML",
        " image/svg+xml ; charset=x",
        "text/HTML;image/png",
        "video/x+xml",
        "application/xhtml+xml",
        "model/vnd.collada+xml",
        "audio/x-mpegurl",
        "image/png+xml",
        "x",
        "",
    ],
)
def test_types_are_read_whatever_their_form(content_type: str) -> None:
    assert not is_shown(content_type)
    assert served_type(content_type) == OCTETS


def test_a_name_cannot_end_its_header() -> None:
    assert disposition("image/png", 'a"\r\n;é.png') == (
        "inline; filename*=UTF-8''a%22%0D%0A%3B%C3%A9.png"
    )
