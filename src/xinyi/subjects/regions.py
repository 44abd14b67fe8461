"""What is certain about region codes (GB/T 2260): the first two digits name a province-level division.

County codes come and go and stay on the cards and licences that carry them, so nothing below the province is checked.
"""

import re
from functools import lru_cache
from typing import Final

SYNTHETIC_PROVINCE: Final = "99"
"""Assigned to no province and to no residence permit: an identifier or a record that carries it is made up."""

NATIONAL: Final = "100000"
"""The country as a whole: registered with, or observed by, a national authority."""

_PROVINCES: Final = frozenset(
    str(code)
    for area in (range(11, 16), range(21, 24), range(31, 38), range(41, 47), range(50, 55), range(61, 66), (71, 81, 82))
    for code in area
)
_PRODUCTION_CORPS: Final = "66"  # the Xinjiang Production and Construction Corps registers under a code of its own
_RESIDENCE_PERMITS: Final = frozenset({"810000", "820000", "830000"})
_SIX_DIGITS: Final = re.compile(r"[0-9]{6}\Z")


@lru_cache(4096)
def is_synthetic(code: str) -> bool:
    return code[:2] == SYNTHETIC_PROVINCE and _SIX_DIGITS.match(code) is not None


@lru_cache(4096)
def is_plausible(code: str) -> bool:
    """Whether ``code`` may be a region: of a registered organisation or of a record."""
    if _SIX_DIGITS.match(code) is None:
        return False
    return code[:2] in _PROVINCES or code[:2] in {_PRODUCTION_CORPS, SYNTHETIC_PROVINCE} or code == NATIONAL


def is_plausible_for_person(code: str) -> bool:
    """Whether ``code`` may begin a resident id (GB 11643), the permits of residents from 港澳台 included."""
    if _SIX_DIGITS.match(code) is None:
        return False
    permitted = code[:2] in _PROVINCES and code[:2] not in {"81", "82"}
    return permitted or code in _RESIDENCE_PERMITS or code[:2] == SYNTHETIC_PROVINCE
