"""The shape of every success."""

from typing import Annotated, Generic, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

T = TypeVar("T")


class Envelope(Struct, Generic[T], frozen=True):
    """``{data, links?, meta?}``."""

    data: T
    links: Annotated[dict[str, str], Meta(description="Related addresses, by relation.")] | UnsetType = UNSET
    meta: Annotated[dict[str, str | int | None], Meta(description="About the answer itself.")] | UnsetType = UNSET
