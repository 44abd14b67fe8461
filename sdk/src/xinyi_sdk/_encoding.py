"""Bytes and text: strict base64url, canonical JSON, SHA-256 digests as xinyi writes them."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec

_canonical = msgspec.json.Encoder(order="sorted")


def b64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 §2)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text: str) -> bytes:
    """The bytes of unpadded base64url. Raises ``ValueError`` for any other spelling of the same bytes.

    Strict, because a lenient decoder ignores stray characters and unused bits: a changed text would still verify.
    """
    data = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    if b64url(data) != text:
        raise ValueError("not canonical base64url")
    return data


def canonical_json(value: object) -> bytes:
    """RFC 8785 for what xinyi commits to: objects with ASCII names, arrays, strings, integers, booleans and null."""
    return _canonical.encode(value)


def digest(data: bytes) -> str:
    """``sha-256:`` and the base64url SHA-256 of ``data``."""
    return "sha-256:" + b64url(hashlib.sha256(data).digest())


class Secrets(dict[str, str]):
    """Members that a traceback's locals must not show."""

    def __repr__(self) -> str:
        return f"Secrets({', '.join(self)})"


def form(members: Mapping[str, str]) -> bytes:
    """``application/x-www-form-urlencoded``."""
    return urlencode(members).encode("ascii")
