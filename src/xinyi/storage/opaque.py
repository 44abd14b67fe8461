"""Opaque values that a browser or a partner holds and we keep only as a keyed hash: codes, request_uris, cookies."""

import hashlib
import hmac
import secrets

from ..kernel.canonical import b64url
from .keys import Secret


def new_opaque() -> str:
    """A value of 256 random bits, as 43 characters of base64url."""
    return secrets.token_urlsafe(32)


def keyed_hashes(secret: Secret, purpose: str, value: str) -> list[str]:
    """:func:`keyed_hash` under every version of the secret: to find what an older version may have named."""
    return [_hash(key, purpose, value) for key in secret.versions.values()]


def keyed_hash(secret: Secret, purpose: str, value: str) -> str:
    """HMAC-SHA-256 of ``value`` under ``secret``, as base64url; ``purpose`` keeps the uses of the secret apart."""
    return _hash(secret.key, purpose, value)


def _hash(key: bytes, purpose: str, value: str) -> str:
    return b64url(hmac.digest(key, f"{purpose}\0{value}".encode(), hashlib.sha256))
