from typing import Protocol

SEAL_BYTES = 32


class BrokenSeal(ValueError):
    """A text was encrypted under another seal or secret, for something else, or was changed."""


class Cipher(Protocol):
    """Encrypt short texts, each under a seal of its own.

    A seal is SEAL_BYTES drawn for one text, in hex. Without it, nobody can decrypt the text.
    """

    def encrypt(self, text: str, *, seal: str, about: str) -> str:
        """Encrypt a text; ``about`` names what it belongs to, and has to be named to decrypt it."""
        ...

    def decrypt(self, encrypted: str, *, seal: str, about: str) -> str:
        """Return the text that was encrypted; raises BrokenSeal."""
        ...
