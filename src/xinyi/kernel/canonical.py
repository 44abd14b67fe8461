"""Canonical JSON and digests.

The canonical form is RFC 8785 (JCS) restricted to what we sign and hash: objects with ASCII member names, arrays,
strings, integers, booleans and null; no floating point numbers.
"""

import hashlib
from base64 import urlsafe_b64decode
from binascii import b2a_base64

import msgspec

_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_encoder = msgspec.json.Encoder(order="sorted")


def canonical_json(value: object) -> bytes:
    """The canonical bytes of a value made of builtin types or msgspec Structs."""
    return _encoder.encode(value)


def digest(value: object) -> str:
    """``sha-256:`` and the unpadded base64url SHA-256 of the canonical form of ``value``."""
    return digest_bytes(canonical_json(value))


def digest_bytes(data: bytes) -> str:
    """``sha-256:`` and the unpadded base64url SHA-256 of ``data``."""
    return "sha-256:" + b64url(hashlib.sha256(data).digest())


def b64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 §2)."""
    return b2a_base64(data, newline=False).translate(_URL_SAFE, b"=").decode()


def unb64url(text: str) -> bytes:
    """The bytes of unpadded base64url ``text``. Raises ``ValueError`` when it isn't that."""
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64url(data) != text:
        raise ValueError("not canonical base64url")
    return data
