"""Uploads: bodies that are too large to be held, written to a file as they arrive."""

import hashlib
from collections.abc import Mapping
from typing import IO, Any, Final, TypeVar

from litestar import Request

from ..kernel.canonical import b64url
from ..kernel.errors import Code, XinyiError

IDEMPOTENCY_KEY_PATTERN: Final = r"^[\x21-\x7e]+$"

_T = TypeVar("_T")


def format_of(request: Request[Any, Any, Any], formats: Mapping[str, _T]) -> _T:
    """The format that the media type names. Raises ``XinyiError(UNSUPPORTED_MEDIA_TYPE)``."""
    media_type, parameters = request.content_type
    if media_type not in formats:
        raise XinyiError(Code.UNSUPPORTED_MEDIA_TYPE, f"send {' or '.join(formats)}", source="content-type")
    if parameters.get("charset", "utf-8").lower() not in {"utf-8", "utf8"}:
        raise XinyiError(Code.UNSUPPORTED_MEDIA_TYPE, "send UTF-8", source="content-type")
    return formats[media_type]


async def receive(request: Request[Any, Any, Any], into: IO[bytes], *, limit: int, label: str) -> str:
    """Writes the body to ``into``, so that nothing is done with one that never ends, and goes back to its beginning.

    Gives the digest of ``label`` and the body. Raises ``XinyiError``: BODY_TOO_LARGE, or as ``StrictRequest.stream``.
    """
    too_large = XinyiError(Code.BODY_TOO_LARGE, f"an upload has at most {limit} bytes: send it in several")
    if (request.content_length or 0) > limit:
        raise too_large
    digest = hashlib.sha256(f"{label}\n".encode())
    received = 0
    async for block in request.stream():
        received += len(block)
        if received > limit:
            raise too_large
        digest.update(block)
        into.write(block)
    into.seek(0)
    return "sha-256:" + b64url(digest.digest())
