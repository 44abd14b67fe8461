"""Identifiers of subjects who don't exist: valid by their check characters, in region 99xxxx, which is nowhere."""

from datetime import date
from typing import Final

from stdnum.cn import ric, uscc

from ..subjects.model import Identifier, SubjectKind
from ..subjects.regions import SYNTHETIC_PROVINCE

PERSONA_REGION: Final = 0
"""The generator's subjects live in regions 1 to 9999 of the province; this one is kept for personas."""

_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_ENTERPRISE: Final = "91"
_SOLE_PROPRIETOR: Final = "92"


def person(region: int, born: date, number: int) -> Identifier:
    """A made-up person: ``region`` 0–9999, ``number`` 0–999 among those born there that day."""
    body = f"{SYNTHETIC_PROVINCE}{region:04}{born:%Y%m%d}{number:03}"
    return Identifier(SubjectKind.NATURAL_PERSON, body + ric.calc_check_digit(body + "0"))


def company(region: int, number: int, *, sole_proprietor: bool = False) -> Identifier:
    """A made-up company: ``region`` 0–9999, ``number`` below 31⁷ among those registered there."""
    digits = []
    for _ in range(7):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    kind = _SOLE_PROPRIETOR if sole_proprietor else _ENTERPRISE
    body = f"{kind}{SYNTHETIC_PROVINCE}{region:04}MA{''.join(reversed(digits))}"
    return Identifier(SubjectKind.LEGAL_PERSON, body + uscc.calc_check_digit(body))
