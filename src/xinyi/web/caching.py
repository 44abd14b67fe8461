"""Public documents that callers may keep for a while and revalidate (RFC 9110 §8.8.3, §13.1.2)."""

from typing import Any, Final, TypeVar

import msgspec
from litestar import Request, Response

from ..kernel.canonical import digest_bytes

T = TypeVar("T")

_HEADERS: Final = {"cache-control": "public, max-age=300"}


def public(request: Request[Any, Any, Any], document: T) -> Response[T]:
    """``document`` with an entity tag, or 304 without a body when the caller already holds it."""
    tag = f'"{digest_bytes(msgspec.json.encode(document))}"'
    headers = {**_HEADERS, "etag": tag}
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(b"", status_code=304, headers=headers)  # type: ignore[arg-type]  # no body, of no type
    return Response(document, headers=headers)
