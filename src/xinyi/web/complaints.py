"""What msgspec complains of, in plain words: its own are about Python, and may repeat what was sent."""

import ast
import re
from collections.abc import Callable
from typing import Final

_TYPES: Final = {
    "int": "an integer",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
    "datetime": "a time",
    "date": "a day",
    "uuid": "a UUID",
}
_LENGTHS: Final = {"str": "characters", "array": "items", "object": "members"}
_BOUNDS: Final = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}
_OTHERWISE: Final = "it isn't as the API document has it"


def _types(names: str) -> str:
    return " or ".join(dict.fromkeys(_TYPES.get(name, "something else") for name in names.split(" | ")))


def _wrong_type(found: re.Match[str]) -> str:
    return f"{_types(found['wanted'])} is expected, not {_types(found['given'])}"


def _length(found: re.Match[str]) -> str:
    unit = _LENGTHS[found["type"]]
    return f"{_TYPES[found['type']]} of {_BOUNDS[found['bound']]} {found['length']} {unit} is expected"


def _pattern(found: re.Match[str]) -> str:
    return f"a text that matches {ast.literal_eval(found['pattern'])} is expected"


_RULES: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...]] = tuple(
    (re.compile(pattern, re.DOTALL), told)
    for pattern, told in (
        (r"Object contains unknown field `.*`", lambda _: "there is no such member"),
        (r"Object missing required field `.*`", lambda _: "this member is missing"),
        (r"Expected `(?P<wanted>[a-z |]+)`, got `(?P<given>[a-z]+)`", _wrong_type),
        (r"Expected `(?P<wanted>[a-z |]+)`", lambda found: f"{_types(found['wanted'])} is expected"),
        (r"Expected `(?P<type>str|array|object)` of length (?P<bound>[<>]=) (?P<length>\d+)", _length),
        (
            r"Expected `(?P<type>int|float)` (?P<bound>[<>]=?) (?P<limit>[-+.e\d]+)",
            lambda found: f"{_TYPES[found['type']]} of {_BOUNDS[found['bound']]} {found['limit']} is expected",
        ),
        (r"Expected `str` matching regex (?P<pattern>'.*'|\".*\")", _pattern),
        (r"Expected `datetime` with a timezone component", lambda _: "a time with its offset from UTC is expected"),
        (
            r"Invalid RFC3339 encoded datetime",
            lambda _: "a time as RFC 3339 writes it is expected, such as 2026-11-02T08:00:00Z",
        ),
        (r"Invalid RFC3339 encoded date", lambda _: "a day as RFC 3339 writes it is expected, such as 2026-11-02"),
        (r"Invalid UUID", lambda _: "a UUID is expected"),
        (r"Invalid (?:enum )?value .*", lambda _: "it is none of the values that the API document lists"),
        (r"(?:Integer value|Number|Timestamp is) out of range ?", lambda _: "the number is out of range"),
    )
)


def plain(sentence: str) -> str:
    """One of msgspec's sentences, without its place, in plain words. What was sent isn't repeated."""
    for pattern, told in _RULES:
        if found := pattern.fullmatch(sentence):
            return told(found)
    return _OTHERWISE
