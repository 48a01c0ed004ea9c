"""AES-256-GCM under keys derived by HKDF-SHA256, both of the package ``cryptography``."""

import secrets
from base64 import b64decode, b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from comfyq.ports.access.cipher import BrokenSeal

KEY_BYTES = 32
NONCE_BYTES = 12  # NIST SP 800-38D, 5.2.1.1: of any other length, it would be hashed
USE = b"comfyq partner key"  # RFC 5869, 3.2: the same seal and secret give other uses other keys


class AesGcm:
    """Encrypts what only seal and secret together decrypt."""

    def __init__(self, *, secret: bytes) -> None:
        """``secret`` is no part of what is stored; it is empty where the seal alone shall do."""
        self._secret = secret

    def encrypt(self, text: str, *, seal: str, about: str) -> str:
        nonce = secrets.token_bytes(NONCE_BYTES)
        encrypted = self._aes(seal).encrypt(nonce, text.encode(), about.encode())
        return b64encode(nonce + encrypted).decode()

    def decrypt(self, encrypted: str, *, seal: str, about: str) -> str:
        try:
            content = b64decode(encrypted, validate=True)
            nonce, rest = content[:NONCE_BYTES], content[NONCE_BYTES:]
            return self._aes(seal).decrypt(nonce, rest, about.encode()).decode()
        except (InvalidTag, ValueError) as broken:  # ValueError: it is cut short, or no base64
            raise BrokenSeal(f"what was encrypted for {about} cannot be decrypted") from broken

    def _aes(self, seal: str) -> AESGCM:
        # Each suffices by itself: the seal is random, and nobody has the secret from the table.
        derivation = HKDF(SHA256(), length=KEY_BYTES, salt=self._secret, info=USE)
        return AESGCM(derivation.derive(bytes.fromhex(seal)))
