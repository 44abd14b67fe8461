"""What the operations share: bodies, paths and pages."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Generic, TypeVar
from urllib.parse import quote

from msgspec import Struct

from .._engine import Engine
from .._flow import Flow, Page
from .._problems import read

T = TypeVar("T")

PAGE: Final = 200
"""Items of one request for a page; of a batch, with their receipts, about half a megabyte."""


class Data(Struct, Generic[T], frozen=True):
    """A success's body."""

    data: T


class Meta(Struct, frozen=True):
    """What a page says about those behind it."""

    next_cursor: str | None = None


class Items(Struct, Generic[T], frozen=True):
    """A page's body."""

    data: tuple[T, ...]
    meta: Meta = Meta()


def segment(name: str) -> str:
    """One path segment: an id that came from elsewhere can't reach another resource."""
    if not name or name in (".", ".."):
        raise ValueError("an id is needed")
    return quote(name, safe="")


def page_of(
    engine: Engine,
    path: str,
    kind: type[Items[T]],
    cursor: str | None,
    filters: Mapping[str, str | None] = MappingProxyType({}),
) -> Flow[Page[T]]:
    """The page behind ``cursor``; a filter that is ``None`` isn't sent."""
    asked = {"limit": str(PAGE), "cursor": cursor, **filters}
    query = {name: value for name, value in asked.items() if value is not None}
    body = read((yield from engine.call("GET", path, query=query)), kind)
    return Page(body.data, body.meta.next_cursor)
