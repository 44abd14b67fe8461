"""Ids of our own things: a prefix, then a ULID (48 bits of milliseconds, 80 random bits), so that they sort by time."""

import re
import secrets
from datetime import datetime
from typing import Final

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case
_PAIRS: Final = [high + low for high in _ALPHABET for low in _ALPHABET]
_PATTERN: Final = re.compile(rf"^[a-z]{{2,4}}_[{_ALPHABET}]{{26}}$")


def new_id(prefix: str, at: datetime) -> str:
    """A new id such as ``chk_01k9x3...``: ``prefix``, an underscore, 26 characters."""
    return _written(prefix, (int(at.timestamp() * 1000) << 80) | int.from_bytes(secrets.token_bytes(10), "big"))


def first_id(prefix: str, at: datetime) -> str:
    """The least id that could be made at this moment: those from before are less, later ones are greater."""
    return _written(prefix, max(int(at.timestamp() * 1000), 0) << 80)


def _written(prefix: str, number: int) -> str:
    return prefix + "_" + "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def is_id(prefix: str, value: str) -> bool:
    """Whether ``value`` has the form of an id with this prefix. Says nothing about whether it exists."""
    return value.startswith(prefix + "_") and _PATTERN.match(value) is not None
