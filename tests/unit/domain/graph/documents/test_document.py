"""The one reader of graphs: encodings, pictures, envelopes."""

import io
import json
import struct
import time
import zlib
from base64 import b64encode
from contextlib import suppress
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from comfyq.domain.errors import InvalidGraph
from comfyq.domain.graph.documents.document import read_document
from comfyq.domain.graph.documents.encoding import read_content
from comfyq.domain.graph.documents.envelope import is_envelope
from comfyq.domain.graph.documents.errors import UnreadableDocument
from comfyq.domain.graph.documents.pictures import MAX_TEXT_BYTES, PNG, graphs_of_picture
from tests.catalogue_lab import CATALOGUE

GRAPH: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "ü"}},
}
EDITOR: dict[str, Any] = {"nodes": [{"id": 1, "type": "EmptyImage"}], "links": [], "version": 0.4}
PROMPT, WORKFLOW = json.dumps(GRAPH), json.dumps(EDITOR)


def png(*, kind: str = "tEXt", **texts: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        if kind == "comf":
            info.add(b"comf", name.encode() + b"\0" + text.encode("latin-1"), after_idat=True)
        elif kind == "iTXt":
            info.add_itxt(name, text, zip=True)
        else:
            info.add_text(name, text, zip=kind == "zTXt")
    file = io.BytesIO()
    Image.new("RGB", (2, 2)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def webp(**texts: str) -> bytes:
    """Save as ComfyUI does: the graph under Model, the rest from Make downwards."""
    file, picture = io.BytesIO(), Image.new("RGB", (2, 2))
    tags = picture.getexif()
    for tag, (name, text) in zip((0x0110, 0x010F), texts.items(), strict=False):
        tags[tag] = f"{name}:{text}"
    picture.save(file, "WEBP", exif=tags)
    return file.getvalue()


def data_uri(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{b64encode(content).decode()}"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_text_is_read_in_any_unicode_encoding(encoding: str, bom: str) -> None:
    text = bom + json.dumps(GRAPH, ensure_ascii=False)
    assert read_content(text.encode(encoding)) == GRAPH


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt", "comf"])
def test_a_png_carries_its_graph(kind: str) -> None:
    content = png(kind=kind, prompt=PROMPT, workflow=WORKFLOW, parameters="something else")
    assert read_content(content) == {"prompt": GRAPH, "workflow": EDITOR}
    document = read_document(data_uri(content))
    assert document.graph(None) == GRAPH
    assert document.pnginfo == {"workflow": EDITOR}


def test_a_webp_carries_its_graph() -> None:
    assert read_content(webp(prompt=PROMPT, workflow=WORKFLOW)) == {
        "prompt": GRAPH,
        "workflow": EDITOR,
    }


def test_a_picture_with_the_editor_file_alone_is_converted() -> None:
    document = read_document(data_uri(png(workflow=WORKFLOW)))
    assert document.graph(CATALOGUE)["1"]["class_type"] == "EmptyImage"
    assert document.pnginfo == {"workflow": EDITOR}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (png(parameters="steps: 20"), "without a graph"),
        (webp(), "without a graph"),
        (png(prompt="{"), "not JSON"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"PK\x03\x04zip", "unpack"),
        (b"\xff\xfe\xfa", "not text"),
        (b"", "not JSON"),
        (b"[" * 100_000, "nested"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "nested"),
        (b" " * (MAX_TEXT_BYTES + 1), "the most is"),
    ],
)
def test_what_holds_no_graph_is_told_with_a_remedy(content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableDocument, match=reason):
        read_content(content)


def test_a_text_that_unpacks_without_end_is_refused() -> None:
    body = b"prompt\0\0" + zlib.compress(b" " * (MAX_TEXT_BYTES + 1))
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + b"\0\0\0\0"
    with pytest.raises(UnreadableDocument, match="over"):
        read_content(PNG + chunk)


def test_graphs_of_a_picture_are_bounded_together() -> None:
    half = " " * (MAX_TEXT_BYTES // 2 + 1)
    for content in (png(kind="zTXt", prompt=half, workflow=half), png(prompt=half, workflow=half)):
        with pytest.raises(UnreadableDocument, match="send the graph alone"):
            read_content(content)


def exif_tags(count: int, text: bytes) -> bytes:
    """Make a WebP file of which ``count`` tags name the same text."""
    at = 10 + 12 * count
    tags = struct.pack("<HHII", 0x110, 2, len(text), at) * count
    exif = b"II*\0" + struct.pack("<IH", 8, count) + tags + text
    chunk = b"WEBPEXIF" + struct.pack("<I", len(exif)) + exif
    return b"RIFF" + struct.pack("<I", len(chunk)) + chunk


def text_chunks(count: int, text: bytes) -> bytes:
    body = b"prompt\0\0" + zlib.compress(text)
    return PNG + (struct.pack(">I", len(body)) + b"zTXt" + body + bytes(4)) * count


def reading_s(content: bytes) -> float:
    """Return the CPU time of reading the graphs of a picture, the least of some tries."""

    def took_s() -> float:
        began_s = time.process_time()
        with suppress(UnreadableDocument):
            graphs_of_picture(content)
        return time.process_time() - began_s

    return min(took_s() for _ in range(3))


@pytest.mark.parametrize("start", [b"prompt:", b"other:", b""])
@pytest.mark.parametrize("letter", [b"a", b"\xc3\xbc"])
def test_of_tags_with_the_same_text_one_is_read(start: bytes, letter: bytes) -> None:
    text = start + letter * 2_000_000
    assert reading_s(exif_tags(100, text)) <= 10 * reading_s(exif_tags(1, b"prompt:" + text))


def test_of_texts_with_the_same_name_one_is_unpacked() -> None:
    text = b" " * 1_000_000
    assert reading_s(text_chunks(200, text)) <= 10 * reading_s(text_chunks(1, text))


def test_cut_off_pictures_raise_nothing_unforeseen() -> None:
    for whole in (png(prompt=PROMPT), webp(prompt=PROMPT)):
        for end in range(12, len(whole), 7):
            with suppress(UnreadableDocument):
                read_content(whole[:end])


@pytest.mark.parametrize(
    "envelope",
    [
        GRAPH,
        {"prompt": GRAPH},
        {"prompt": GRAPH, "client_id": "x", "number": 1, "extra_data": {}},
        {"input": {"workflow": GRAPH, "images": []}, "id": "1", "webhook": "https://x"},
        {"input": {"prompt": {"prompt": GRAPH}}},
        {"workflow": EDITOR, "output": GRAPH},
        PROMPT,
        {"prompt": PROMPT},
        data_uri(PROMPT.encode("utf-16"), "application/json"),
    ],
)
def test_a_graph_is_taken_out_of_its_envelope(envelope: Any) -> None:
    assert read_document(envelope).graph(None) == GRAPH


def test_what_has_no_effect_is_told() -> None:
    warnings = read_document({"prompt": GRAPH, "client_id": "x"}).warnings
    assert warnings == ("graph.client_id has no effect here",)


@pytest.mark.parametrize(
    ("envelope", "reason"),
    [
        ({"input": {"workflow": GRAPH, "images": [{"name": "a"}]}}, "POST /assets"),
        ({"prompt": GRAPH, "partial_execution_targets": ["1"]}, "output nodes"),
        ({"prompt": GRAPH, "colour": 3}, "`colour`, which is not known"),
        (3, "is an object of nodes"),
        ("three", "not JSON"),
        ("data:image/png;base64", "no comma"),
        ({"prompt": {"prompt": {"prompt": {"prompt": {"prompt": {"prompt": GRAPH}}}}}}, "wrapped"),
    ],
)
def test_what_is_not_accepted_is_told_with_a_remedy(envelope: Any, reason: str) -> None:
    with pytest.raises(InvalidGraph, match=reason) as refused:
        read_document(envelope)
    assert refused.value.fields[0].field == "graph"


def test_extra_data_is_passed_on_and_else_named() -> None:
    document = read_document(EDITOR, {"extra_pnginfo": {"workflow": {"mine": 1}, "by": "me"}})
    assert document.pnginfo == {"workflow": {"mine": 1}, "by": "me"}
    with pytest.raises(InvalidGraph) as refused:
        read_document({"prompt": GRAPH, "extra_data": {"extra_pnginfo": {}, "api_key": "k"}})
    assert [each.field for each in refused.value.fields] == ["graph.extra_data.api_key"]
    for odd in (3, {"extra_pnginfo": 3}):
        with pytest.raises(InvalidGraph):
            read_document(GRAPH, odd)


def test_what_stands_beside_the_inputs_of_a_node_is_dropped() -> None:
    meta = {"_meta": {"title": "T"}}
    saved = read_content(
        PROMPT.replace(
            '"inputs"', '"is_changed": [NaN], "_meta": {"title": "T"}, "inputs"'
        ).encode()
    )
    assert read_document(saved).graph(None) == {id: body | meta for id, body in GRAPH.items()}


def test_requests_of_our_own_are_no_envelopes() -> None:
    own: list[dict[str, Any]] = [
        {"prompt": "a fox"},
        {"workflow": "flux-dev"},
        {"graph": GRAPH},
        {"input": "x"},
        {"prompt": {"a": 1}},
        {"workflow": {}},
    ]
    graphs: list[dict[str, Any]] = [
        GRAPH,
        EDITOR,
        {"prompt": GRAPH},
        {"input": {"workflow": GRAPH}},
        {"prompt": {"1": {"inputs": {}}}},
    ]
    assert not any(map(is_envelope, own))
    assert all(map(is_envelope, graphs))
