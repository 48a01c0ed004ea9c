"""Errors as clients read them, and as the story keeps them."""

import pytest

from comfyq.domain.job import JobError
from comfyq.domain.job.client_text import for_clients
from comfyq.wire.generate.statuses import error_text, whole_error_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no /srv/ComfyUI/models/loras/a-b_1.safetensors here", "no a-b_1.safetensors here"),
        ("'/data/x/y.png': denied", "'y.png': denied"),
        ("'/data/my files/y.png': \"/a b/c\"", "'y.png': \"c\""),
        ("open file:///srv/a/b.png, ~/a/b", "open b.png, b"),
        (r"C:\Users\My Name\ComfyUI\out\a.png is gone", "a.png is gone"),
        (r"'C:\\Users\\me\\a.png' and D:/b/c.png", "'a.png' and c.png"),
        (r"\\server\share\a.png", "a.png"),
        ("a folder /var/lib/comfyq/", "a folder …"),
        (
            "cannot identify image file <_io.BytesIO object at 0x7f14ea4dacf0>",
            "cannot identify image file …",
        ),
        ("got <class 'int'>, <function f at 0x7f12>", "got …, …"),
        ("at <bound method A.b of <m.A object at 0xabcdef>>!", "at …!"),
        (
            "ClientConnectorError(ConnectionKey(host='h', port=1, ssl=True), OSError(1, 'x (y)'))",
            "…",
        ),
        ("down: ConnectionKey(host='h', is_ssl=False); retry", "down: …; retry"),
        (
            'it raised\nTraceback (most recent call last):\n  File "/a/b/c.py", line 3, in f\n'
            "    x = 1\nValueError: bad\n",
            "it raised\n\nValueError: bad\n",
        ),
    ],
)
def test_what_is_of_use_to_the_operator_alone_is_left_out(text: str, shown: str) -> None:
    assert for_clients(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "steps: is 3/4; the most is 1/2 or and/or",
        "see https://example.com/a/b.png and asset:5f0c/x",
        "width < 64 and height > 32 (px), cfg=7",
        "models/loras/a.safetensors is not there; POST /generate again",
        "KSampler (3): RuntimeError: sizes (1, 2) differ <1>",
        "",
    ],
)
def test_and_nothing_else(text: str) -> None:
    assert for_clients(text) == text


def test_a_traceback_is_in_the_story_alone() -> None:
    traceback = ('  File "/srv/ComfyUI/nodes.py", line 3, in f', "    x = 1")
    message = "KSampler (3): RuntimeError: /srv/a/b.png"
    error = JobError("node-error", message, "3", traceback * 2)
    assert error_text(error) == "KSampler (3): RuntimeError: b.png"
    assert whole_error_text(error) == "\n".join((message, *traceback, *traceback))


def test_what_would_be_right_is_told_to_everybody() -> None:
    error = JobError("invalid-graph", "refused", "3", ("KSampler (3): no such sampler (euler)",))
    assert error_text(error) == whole_error_text(error)
