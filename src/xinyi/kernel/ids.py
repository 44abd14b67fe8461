"""Ids of our own things: a prefix, then a ULID (48 bits of milliseconds, 80 random bits), so that they sort by time."""

import re
import secrets
from datetime import datetime
from typing import Final

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case
_RANDOM: Final = 16
"""The random characters of an id, at five bits each."""
_OF_A_BYTE: Final = (_ALPHABET * (256 // len(_ALPHABET))).encode()
_PAIRS: Final = [high + low for high in _ALPHABET for low in _ALPHABET]
_PATTERN: Final = re.compile(rf"^[a-z]{{2,4}}_[{_ALPHABET}]{{26}}$")


def new_id(prefix: str, at: datetime) -> str:
    """A new id such as ``chk_01k9x3...``: ``prefix``, an underscore, 26 characters."""
    return new_ids(prefix, at, 1)[0]


def new_ids(prefix: str, at: datetime, count: int) -> list[str]:
    """So many new ids of one moment, in no order, for one read of the system's entropy."""
    begin = f"{prefix}_{_time(at)}"
    # Of each byte five bits are used: cheaper than to carry the other three over into the next character.
    random = secrets.token_bytes(count * _RANDOM).translate(_OF_A_BYTE).decode()
    return [begin + random[place : place + _RANDOM] for place in range(0, count * _RANDOM, _RANDOM)]


def first_id(prefix: str, at: datetime) -> str:
    """The least id that could be made at this moment: those from before are less, later ones are greater."""
    return f"{prefix}_{_time(at)}{_ALPHABET[0] * _RANDOM}"


def _time(at: datetime) -> str:
    """Ten characters: those of times before 1970 are those of 1970."""
    number = max(int(at.timestamp() * 1000), 0)
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(40, -1, -10)])


def is_id(prefix: str, value: str) -> bool:
    """Whether ``value`` has the form of an id with this prefix. Says nothing about whether it exists."""
    return value.startswith(prefix + "_") and _PATTERN.match(value) is not None
