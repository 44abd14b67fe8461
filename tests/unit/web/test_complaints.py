"""A wrong member is told of in plain words, at its place, and what was sent isn't repeated."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta, Struct

from xinyi.kernel.errors import Code, XinyiError
from xinyi.web.body import decode_json
from xinyi.web.complaints import plain

SENT = "what-was-sent"


class Colour(StrEnum):
    RED = "red"


class Item(Struct, forbid_unknown_fields=True):
    x: int


class Body(Struct, forbid_unknown_fields=True):
    count: Annotated[int, Meta(ge=1, le=9)] = 1
    half: Annotated[float, Meta(gt=0.5)] = 1.0
    name: Annotated[str, Meta(min_length=2, max_length=20)] = "ab"
    slug: Annotated[str, Meta(pattern="^[a-z']+$")] = "a"
    colour: Colour | None = None
    items: Annotated[list[Item], Meta(max_length=2)] | None = None
    flags: dict[str, bool] | None = None
    at: Annotated[datetime, Meta(tz=True)] | None = None
    day: date | None = None
    id: UUID | None = None
    either: str | int | None = None
    threes: Annotated[int, Meta(multiple_of=3)] = 3

    def __post_init__(self) -> None:
        if self.name == "own":
            raise ValueError("a name of our own - with a dash")


@pytest.mark.parametrize(
    ("sent", "source", "detail"),
    [
        ({"count": SENT}, "/count", "an integer is expected, not a text"),
        ({"count": None}, "/count", "an integer is expected, not null"),
        ({"count": 0}, "/count", "an integer of at least 1 is expected"),
        ({"count": 10**30}, "/count", "an integer of at most 9 is expected"),
        ({"half": 0.5}, "/half", "a number of more than 0.5 is expected"),
        ({"half": []}, "/half", "a number is expected, not a list"),
        ({"name": "a"}, "/name", "a text of at least 2 characters is expected"),
        ({"name": SENT * 2}, "/name", "a text of at most 20 characters is expected"),
        ({"name": "own"}, "", "a name of our own - with a dash"),
        ({"slug": SENT}, "/slug", "a text that matches ^[a-z']+$ is expected"),
        ({"colour": SENT}, "/colour", "it is none of the values that the API document lists"),
        ({"colour": 7}, "/colour", "a text or null is expected, not an integer"),
        ({"items": [{"x": 1}, {"x": SENT}]}, "/items/1/x", "an integer is expected, not a text"),
        ({"items": [{"x": 1}, {}]}, "/items/1/x", "this member is missing"),
        ({"items": [{"x": 1, SENT: 1}]}, f"/items/0/{SENT}", "there is no such member"),
        ({"items": [{"x": 1}] * 3}, "/items", "a list of at most 2 items is expected"),
        ({"flags": {SENT: 1}}, "/flags", "true or false is expected, not an integer"),
        ({"at": SENT}, "/at", "a time as RFC 3339 writes it is expected, such as 2026-11-02T08:00:00Z"),
        ({"at": "2026-11-02T08:00:00"}, "/at", "a time with its offset from UTC is expected"),
        ({"day": SENT}, "/day", "a day as RFC 3339 writes it is expected, such as 2026-11-02"),
        ({"id": SENT}, "/id", "a UUID is expected"),
        ({"either": []}, "/either", "an integer or a text or null is expected, not a list"),
        ({"threes": 4}, "/threes", "it isn't as the API document has it"),
        ([SENT], "", "an object is expected, not a list"),
    ],
)
def test_what_is_wrong_is_said_plainly(sent: Any, source: str, detail: str):
    with pytest.raises(XinyiError) as refused:
        decode_json(msgspec.json.encode(sent), Body)
    assert (refused.value.code, refused.value.source, refused.value.detail) == (Code.INVALID, source, detail)


def test_a_sentence_that_nobody_foresaw_isnt_passed_on():
    assert plain(f"Frobnicated `int` of {SENT}") == "it isn't as the API document has it"
