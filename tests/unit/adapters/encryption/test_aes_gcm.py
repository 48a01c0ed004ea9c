"""What is encrypted opens by its own seal and secret, for what it belongs to, unchanged."""

from base64 import b64decode, b64encode
from contextlib import suppress

import pytest

from comfyq.adapters.encryption.aes_gcm import NONCE_BYTES, AesGcm
from comfyq.ports.access.cipher import SEAL_BYTES, BrokenSeal

SEAL = bytes(range(SEAL_BYTES)).hex()
SECRET = b"s" * 32
CIPHER = AesGcm(secret=SECRET)
STORED = "AAECAwQFBgcICQoLA0ymp91oA2IdVDdILQ1IRY9mSyJGbWIlqxKCiA=="  # pragma: allowlist secret


def encrypted(text: str = "comfyui-0123", about: str = "job") -> str:
    return CIPHER.encrypt(text, seal=SEAL, about=about)


@pytest.mark.parametrize("text", ["", "k", "comfyui-0123", "ключ", "x" * 1_000])
@pytest.mark.parametrize("secret", [SECRET, b"", b"s" * 100], ids=["secret", "none", "long"])
def test_what_is_encrypted_opens_again(text: str, secret: bytes) -> None:
    kept = AesGcm(secret=secret).encrypt(text, seal=SEAL, about="job")
    assert AesGcm(secret=secret).decrypt(kept, seal=SEAL, about="job") == text
    assert len(text) < 8 or text.encode() not in b64decode(kept)


def test_what_is_stored_can_be_read_by_later_versions() -> None:
    """PyCryptodome has encrypted it: HKDF and AES are the standards', not this package's alone."""
    assert CIPHER.decrypt(STORED, seal=SEAL, about="job") == "comfyui-0123"


@pytest.mark.parametrize(
    ("secret", "seal", "about"),
    [
        (SECRET, SEAL[::-1], "job"),
        (SECRET, "", "job"),
        (SECRET, SEAL, "another"),
        (b"t" * 32, SEAL, "job"),
        (b"", SEAL, "job"),
    ],
    ids=["another seal", "no seal", "another job", "another secret", "no secret"],
)
def test_nothing_else_opens_it(secret: bytes, seal: str, about: str) -> None:
    with pytest.raises(BrokenSeal, match=about):
        AesGcm(secret=secret).decrypt(encrypted(), seal=seal, about=about)


def test_a_changed_bit_is_noticed() -> None:
    content = b64decode(encrypted())
    for at in range(len(content)):
        changed = bytearray(content)
        changed[at] ^= 1
        with suppress(BrokenSeal):
            CIPHER.decrypt(b64encode(changed).decode(), seal=SEAL, about="job")
            pytest.fail(f"a change of byte {at} passes")


def test_what_is_cut_short_or_no_base64_is_broken_too() -> None:
    kept = encrypted()
    for broken in ("", *(kept[:end] for end in range(4, len(kept), 4)), kept + "!", "ключ"):
        with pytest.raises(BrokenSeal):
            CIPHER.decrypt(broken, seal=SEAL, about="job")


def test_each_text_has_a_nonce_of_its_own() -> None:
    """So even one seal for two texts would not show where they are equal."""
    kept = [b64decode(encrypted("\0" * 96)) for _ in range(100)]
    assert len({each[:NONCE_BYTES] for each in kept}) == 100
    blocks = {each[at : at + 16] for each in kept for at in range(NONCE_BYTES, 96, 16)}
    assert len(blocks) == 100 * 6
