"""Encryption of a short secret by a key that seals nothing else.

No installation has a cipher without packages that others of them lack, so it is made of what all
have: a stream of HMAC-SHA256 in counter mode (NIST SP 800-108), and an HMAC of what it encrypts
(encrypt-then-MAC). A key is drawn for each text: there is no nonce that could come twice.
"""

import hmac
from base64 import b64decode, b64encode
from hashlib import sha256
from itertools import count

KEY_BYTES = 32
TAG_BYTES = 32


class BrokenSeal(ValueError):
    """A text was sealed by another key or for something else, or was changed."""


def sealed(text: str, *, key: bytes, about: str) -> str:
    """Encrypt a text; ``about`` says what it belongs to, and it opens for nothing else."""
    encrypted = _mixed(text.encode(), key)
    return b64encode(encrypted + _tag(encrypted, key, about)).decode()


def unsealed(sealed_text: str, *, key: bytes, about: str) -> str:
    """Decrypt what ``sealed`` returned; raises BrokenSeal."""
    content = b64decode(sealed_text)
    encrypted, tag = content[:-TAG_BYTES], content[-TAG_BYTES:]
    if not hmac.compare_digest(tag, _tag(encrypted, key, about)):
        raise BrokenSeal(f"what is sealed for {about} does not open by this key")
    return _mixed(encrypted, key).decode()


def _mixed(content: bytes, key: bytes) -> bytes:
    """Encrypt, or decrypt: both are the same."""
    own, stream = _derived(key, b"encrypt"), b""
    for number in count():
        if len(stream) >= len(content):
            break
        stream += _hmac(own, number.to_bytes(8))
    return bytes(a ^ b for a, b in zip(content, stream, strict=False))


def _tag(encrypted: bytes, key: bytes, about: str) -> bytes:
    named = about.encode()
    return _hmac(_derived(key, b"authenticate"), len(named).to_bytes(8) + named + encrypted)


def _derived(key: bytes, use: bytes) -> bytes:
    return _hmac(key, b"comfyq sealing " + use)


def _hmac(key: bytes, content: bytes) -> bytes:
    return hmac.new(key, content, sha256).digest()
