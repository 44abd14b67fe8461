"""The published lists: which facts exist, what may be done with an answer, and what each code means."""

from collections.abc import Mapping

from msgspec import Struct

from .common import Text, Unit


class RecordField(Struct, frozen=True, kw_only=True):
    """One field of a record type, and which values it takes."""

    name: str
    type: str
    label: Text
    required: bool
    min: int | None = None
    max: int | None = None
    unit: Unit | None = None
    max_length: int | None = None
    values: Mapping[str, Text] | None = None
    ends_validity: bool = False


class RecordType(Struct, frozen=True, kw_only=True):
    """One kind of positive fact of the data list 数据清单."""

    code: str
    name: Text
    source: Text
    subject_kinds: tuple[str, ...]
    origin: str
    refresh: str
    sensitivity: str
    suppressible: bool
    enabled: bool
    fields: tuple[RecordField, ...]


class Behaviour(Struct, frozen=True, kw_only=True):
    """One thing that a partner may or may not do with an answer: the behaviour list 行为清单."""

    id: str
    allowed: bool
    text: Text
    basis: Text | None = None


class ErrorCode(Struct, frozen=True, kw_only=True):
    """One code that errors carry, its HTTP status, and what it says to people."""

    code: str
    status: int
    title: Text


class OutcomeWording(Struct, frozen=True, kw_only=True):
    """One outcome, and the neutral words for it."""

    code: str
    title: Text
    meaning: Text
