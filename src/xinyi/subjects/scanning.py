"""Finds identifiers in free text, however they are spelled: they are never stored in clear.

Only what could be somebody's is found: the check character, the region and, of a person, an adult's birth date must
fit. A USCC must also hold the check character of the organisation code inside it (GB 11714), and mustn't begin or end
amid a number: else one long reference number in a hundred would be taken for one.
"""

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from .identifiers import parse
from .model import Identifier, IdentifierRefused, SubjectKind

_LENGTH: Final = 18
_OLDEST: Final = 130  # years
_FOR_X: Final = dict.fromkeys(map(ord, "×хХχΧ"), "X")
"""What is typed for the letter X: the sign ×, and the Cyrillic and Greek letters."""
_SEPARATORS: Final = re.compile(r"[\W_]+")
_OTHER_SCRIPTS: Final = re.compile(r"[^0-9A-Z ]+")
_DIGITS: Final = re.compile(r"\d{7}", re.ASCII)
"""Every identifier has as many digits in a row; most texts haven't, and need no closer look."""
_PERSON: Final = re.compile(r"(?=(\d{17}[\dX]))", re.ASCII)
_CODE: Final = re.compile(r"(?=([1-9ANY][1-9]\d{6}[0-9A-Z]{10}))", re.ASCII)
_WITHIN_A_NUMBER: Final = re.compile(r"(?<=\d)(?=\d)", re.ASCII)
_ORGANISATION_WEIGHTS: Final = (3, 7, 9, 10, 5, 8, 4, 2)


def holds_identifier(text: str, now: datetime, own: Identifier | None = None) -> bool:
    """Whether ``text`` holds an identifier of anybody, or in whatever surroundings the one of ``own``.

    Full-width and other forms of characters are folded; blanks, hyphens and all other separators are passed over.
    """
    if len(text) < _LENGTH:
        return False
    folded = text.upper() if text.isascii() else unicodedata.normalize("NFKC", text).translate(_FOR_X).upper()
    if _DIGITS.search(_SEPARATORS.sub("", folded)) is None:
        return False
    for run in _OTHER_SCRIPTS.split(_SEPARATORS.sub(" ", folded)):
        joined = run.replace(" ", "")
        if own is not None and own.value in joined:
            return True
        people = (match[1] for match in _PERSON.finditer(joined) if int(match[1][6:10]) >= now.year - _OLDEST)
        if any(_is_one(value, now, SubjectKind.NATURAL_PERSON) for value in people):
            return True
        if any(_is_one(value, now, SubjectKind.LEGAL_PERSON) for value in _codes(joined, run)):
            return True
    return False


def _codes(joined: str, run: str) -> Iterator[str]:
    """What may be a USCC by its place and its own inner check. ``joined`` is ``run`` without its separators."""
    numbers: set[int] | None = None
    for match in _CODE.finditer(joined):
        value = match[1]
        if value[2:4] == "99" or value[16] == _organisation_check(value[8:16]):
            numbers = _within_numbers(run) if numbers is None else numbers
            if numbers.isdisjoint((match.start(), match.start() + _LENGTH)):
                yield value


def _within_numbers(run: str) -> set[int]:
    """The places in a run, not counting its separators, that lie within a number."""
    places: set[int] = set()
    length = 0
    for part in run.split():
        places.update(length + match.start() for match in _WITHIN_A_NUMBER.finditer(part))
        length += len(part)
    return places


def _organisation_check(body: str) -> str:
    """The check character of an organisation code (GB 11714)."""
    total = sum(int(character, 36) * weight for character, weight in zip(body, _ORGANISATION_WEIGHTS, strict=True))
    check = -total % 11
    return "X" if check == 10 else str(check)


def _is_one(value: str, now: datetime, kind: SubjectKind) -> bool:
    try:
        parse(value, now, kind)
    except IdentifierRefused:
        return False
    return True
