"""Short secrets of others at rest: AES-256-GCM under a key that is derived for one purpose (HKDF, RFC 5869)."""

import secrets
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .keys import Secret, Version

_NONCE: Final = 12  # bytes: NIST SP 800-38D §8.2.2, random


class Seal:
    """Seals under the newest version of ``secret`` and opens under each.

    ``purpose`` keeps the uses of one secret apart: what one purpose sealed another can't open.
    """

    def __init__(self, secret: Secret, purpose: str) -> None:
        self._current = secret.current
        self._aead = {version: AESGCM(_derived(key, purpose)) for version, key in secret.versions.items()}

    def seal(self, value: bytes, bound_to: str) -> bytes:
        """``value``, to be opened for the same ``bound_to`` alone: the row that it belongs to."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = nonce + self._aead[self._current].encrypt(nonce, value, bound_to.encode())
        return f"{self._current}:".encode() + sealed

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        """Raises ``cryptography.exceptions.InvalidTag`` when it was tampered with, or sealed for something else."""
        version, _, rest = sealed.partition(b":")
        return self._aead[Version(version.decode())].decrypt(rest[:_NONCE], rest[_NONCE:], bound_to.encode())


def _derived(key: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=purpose.encode()).derive(key)
