"""What is sealed opens by its own key, for what it belongs to, unchanged."""

from base64 import b64decode, b64encode
from contextlib import suppress

import pytest

from comfyq.domain.sealing import KEY_BYTES, BrokenSeal, sealed, unsealed

KEY = bytes(range(KEY_BYTES))


@pytest.mark.parametrize("text", ["", "k", "comfyui-0123", "ключ", "x" * 1_000])
def test_what_is_sealed_opens_again(text: str) -> None:
    kept = sealed(text, key=KEY, about="job")
    assert unsealed(kept, key=KEY, about="job") == text
    assert not text or text.encode() not in b64decode(kept)


def test_nothing_else_opens_it() -> None:
    kept = sealed("comfyui-0123", key=KEY, about="job")
    for key, about in ((KEY[::-1], "job"), (KEY, "another"), (b"", "job")):
        with pytest.raises(BrokenSeal):
            unsealed(kept, key=key, about=about)


def test_a_changed_bit_is_noticed() -> None:
    content = b64decode(sealed("comfyui-0123", key=KEY, about="job"))
    for at in range(len(content)):
        changed = bytearray(content)
        changed[at] ^= 1
        with suppress(BrokenSeal):
            unsealed(b64encode(changed).decode(), key=KEY, about="job")
            pytest.fail(f"a change of byte {at} passes")
    with pytest.raises(BrokenSeal):
        unsealed("", key=KEY, about="job")


def test_equal_beginnings_do_not_show() -> None:
    """Each key has a stream of its own, and each block of it is another."""
    zeros = "\0" * 96
    one, other = (
        b64decode(sealed(zeros, key=key, about="job")) for key in (KEY, b"\1" * KEY_BYTES)
    )
    blocks = {each[at : at + 32] for each in (one, other) for at in (0, 32, 64)}
    assert len(blocks) == 6
