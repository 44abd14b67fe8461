"""Public documents that callers may keep for a while and revalidate (RFC 9110 §8.8.3, §13.1.2)."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
from litestar import Request, Response
from msgspec import Struct

from ..kernel.canonical import digest_bytes

T = TypeVar("T")

_HEADERS: Final = {"cache-control": "public, max-age=300"}


class Representation(Struct, frozen=True):
    """Bytes that were made once and are sent as they are, with their entity tag."""

    body: bytes
    media_type: str
    tag: str


def representation(body: bytes, media_type: str) -> Representation:
    """``body`` with its tag."""
    return Representation(body, media_type, _tag(body))


def send(
    request: Request[Any, Any, Any], made: Representation, headers: Mapping[str, str] = _HEADERS
) -> Response[bytes]:
    """``made``, or 304 without a body when the caller already holds it."""
    headers = {**headers, "etag": made.tag}
    if _is_held(request, made.tag):
        return Response(b"", status_code=304, media_type=made.media_type, headers=headers)
    return Response(made.body, media_type=made.media_type, headers=headers)


def public(request: Request[Any, Any, Any], document: T) -> Response[T]:
    """``document`` with an entity tag, or 304 without a body when the caller already holds it."""
    tag = _tag(msgspec.json.encode(document))
    headers = {**_HEADERS, "etag": tag}
    if _is_held(request, tag):
        return Response(b"", status_code=304, headers=headers)  # type: ignore[arg-type]  # no body, of no type
    return Response(document, headers=headers)


def _tag(body: bytes) -> str:
    return f'"{digest_bytes(body)}"'


def _is_held(request: Request[Any, Any, Any], tag: str) -> bool:
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    return tag in known or "*" in known
