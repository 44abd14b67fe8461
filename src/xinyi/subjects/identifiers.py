"""From what somebody typed to an :class:`Identifier`.

python-stdnum folds blanks and full-width digits, and does the arithmetic of a resident id. That of a USCC is written
out: the library folds once more in it, and an import does it for every row. What is left open is covered here:
full-width letters are folded; a USCC may begin with a letter (A, N, Y) and must name an authority and a province that
exist; a resident id's county isn't looked up (no list is complete), permits of residents from 港澳台 are accepted, and
the birth date is compared with today.
"""

from datetime import date, datetime
from operator import mul
from typing import Final

from stdnum.cn import ric
from stdnum.util import clean

from ..kernel.clock import CHINA_TIME
from . import regions
from .model import Identifier, IdentifierProblem, IdentifierRefused, SubjectKind

ADULT_AGE: Final = 18

_LENGTH: Final = 18
_MOST_TYPED: Final = 64  # room for separators; longer input isn't worth folding
_USCC_CHARACTERS: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_ALPHABET: Final = frozenset(_USCC_CHARACTERS)
_USCC_VALUES: Final = {character: value for value, character in enumerate(_USCC_CHARACTERS)}
_USCC_WEIGHTS: Final = tuple(pow(3, place, 31) for place in range(17))  # GB 32100-2015, 4.5
_FULL_WIDTH_LETTERS: Final = {
    wide: wide - 0xFEE0 for first in ("Ａ", "ａ") for wide in range(ord(first), ord(first) + 26)
}
_AUTHORITIES: Final = frozenset("123456789ANY")  # GB 32100-2015, table 1


def parse(text: str, now: datetime, kind: SubjectKind | None = None) -> Identifier:
    """The identifier in ``text``; without ``kind``, a resident id if it can be one, else a USCC.

    One resident id in 31 of a few prefectures happens to have the form of a USCC as well. A USCC that holds an adult's
    birth date, and whose check digits fit both ways, is some ten thousand times rarer, and never a company's.

    Raises :class:`IdentifierRefused`. When no kind is given and none fits, the reason is that of the kind that
    ``text`` came closest to.
    """
    value = _fold(text)
    if kind is SubjectKind.NATURAL_PERSON:
        return _natural_person(value, now)
    if kind is SubjectKind.LEGAL_PERSON:
        return _legal_person(value)
    try:
        return _natural_person(value, now)
    except IdentifierRefused as refused:
        try:
            return _legal_person(value)
        except IdentifierRefused as other:
            raise max(refused, other, key=lambda each: _CLOSENESS.index(each.problem)) from None


def age_on(born: date, today: date) -> int:
    """Completed years. Born on 29 February, one turns a year older on 1 March of other years."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


_CLOSENESS: Final = (
    IdentifierProblem.LENGTH,
    IdentifierProblem.CHARACTERS,
    IdentifierProblem.CHECK_DIGIT,
    IdentifierProblem.REGION,
    IdentifierProblem.BIRTH_DATE,
    IdentifierProblem.UNDER_AGE,
)


def _fold(text: str) -> str:
    if len(text) == _LENGTH and text.isascii() and text.isalnum():
        return text.upper()
    if len(text) > _MOST_TYPED:
        raise IdentifierRefused(IdentifierProblem.LENGTH)
    return clean(text.translate(_FULL_WIDTH_LETTERS), " -\t").upper().strip()


def _natural_person(value: str, now: datetime) -> Identifier:
    if len(value) != _LENGTH:
        raise IdentifierRefused(IdentifierProblem.LENGTH)
    if not (value.isascii() and value[:-1].isdigit()):
        raise IdentifierRefused(IdentifierProblem.CHARACTERS)
    if value[-1] != ric.calc_check_digit(value):
        raise IdentifierRefused(IdentifierProblem.CHECK_DIGIT)
    if not regions.is_plausible_for_person(value[:6]):
        raise IdentifierRefused(IdentifierProblem.REGION)
    try:
        born = date(int(value[6:10]), int(value[10:12]), int(value[12:14]))
    except ValueError:
        raise IdentifierRefused(IdentifierProblem.BIRTH_DATE) from None
    today = now.astimezone(CHINA_TIME).date()
    if born > today:
        raise IdentifierRefused(IdentifierProblem.BIRTH_DATE)
    if age_on(born, today) < ADULT_AGE:
        raise IdentifierRefused(IdentifierProblem.UNDER_AGE)
    return Identifier(SubjectKind.NATURAL_PERSON, value)


def _uscc_check(value: str) -> str:
    """The check character of a USCC (GB 32100), whose own may be among ``value``."""
    return _USCC_CHARACTERS[-sum(map(mul, map(_USCC_VALUES.__getitem__, value), _USCC_WEIGHTS)) % 31]


def _legal_person(value: str) -> Identifier:
    if len(value) != _LENGTH:
        raise IdentifierRefused(IdentifierProblem.LENGTH)
    if not _USCC_ALPHABET.issuperset(value) or value[0] not in _AUTHORITIES or not value[1:8].isdigit():
        raise IdentifierRefused(IdentifierProblem.CHARACTERS)
    if value[-1] != _uscc_check(value):
        raise IdentifierRefused(IdentifierProblem.CHECK_DIGIT)
    if not regions.is_plausible(value[2:8]):
        raise IdentifierRefused(IdentifierProblem.REGION)
    return Identifier(SubjectKind.LEGAL_PERSON, value)
