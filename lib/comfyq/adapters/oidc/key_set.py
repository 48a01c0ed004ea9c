"""The keys of an issuer, as it published them at one time."""

from collections.abc import Mapping, Sequence
from typing import Any

from jwt import PyJWK, PyJWTError

MAX_KEYS = 100
TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}  # `kty` by an algorithm's first letters
CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


class KeySet:
    def __init__(self, keys: Sequence[Mapping[str, Any]]) -> None:
        self._keys = keys[:MAX_KEYS]
        self._made: dict[tuple[str | None, str], PyJWK] = {}

    def find(self, key_id: str | None, algorithm: str) -> PyJWK | None:
        """Return the key that signs by ``algorithm`` under an id; None if there is no such.

        A token need not name its key where the issuer has just one for the algorithm.
        """
        wanted = key_id, algorithm
        if wanted in self._made:
            return self._made[wanted]
        suited = [key for key in self._keys if _suits(key, key_id, algorithm)]
        if not suited or (key_id is None and len(suited) > 1):
            return None  # which is not kept: strangers choose what is asked for
        try:
            made = PyJWK(dict(suited[0]), algorithm)
        except PyJWTError:  # it is broken
            return None
        self._made[wanted] = made
        return made


def _suits(key: Mapping[str, Any], key_id: str | None, algorithm: str) -> bool:
    """Tell if a key is for signatures by an algorithm: https://www.rfc-editor.org/rfc/rfc7517"""
    operations = key.get("key_ops")
    return (
        (key_id is None or key.get("kid") == key_id)
        and key.get("kty") == TYPES[algorithm[:2]]
        and key.get("crv") == CURVES.get(algorithm, key.get("crv"))
        and key.get("alg") in (None, algorithm)
        and key.get("use") in (None, "sig")
        and (operations is None or "verify" in operations)
    )
