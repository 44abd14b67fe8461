"""Records, for those who supply them."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NotRequired, TypedDict

from msgspec import Struct


class RecordBatch(Struct, frozen=True, kw_only=True):
    """What became of an upload of records. ``rows`` counts them by verdict: ``accepted``, ``rejected`` and others."""

    id: str
    state: str
    format: str
    lines: int
    rows: Mapping[str, int]
    created_at: datetime
    finished_at: datetime | None


class RecordError(Struct, frozen=True, kw_only=True):
    """Why a row was rejected: a line (from 1), a code, and the member to blame where one is. Never a value."""

    line: int
    code: str
    member: str | None = None


class SourceRecord(Struct, frozen=True, kw_only=True):
    """A record as its own source sees it: what it sent, and nothing of what the subject says about it."""

    id: str
    record_type: str
    source_ref: str
    region: str
    observed_at: datetime
    valid_until: datetime | None
    fields: Mapping[str, str | int | bool]


class Correction(TypedDict):
    """What a record says from now on, whole. Times are RFC 3339, or a day in China such as ``2026-10-28``."""

    region: str
    observed_at: str
    fields: Mapping[str, str | int | bool]
    valid_until: NotRequired[str | None]


class RepairedRecord(Correction):
    """One record that counts after a repair."""

    record_type: str
    source_ref: str


class Repaired(Struct, frozen=True, kw_only=True):
    """What a repair notice did: how many records are gone, and how many count from now on."""

    removed: int
    stored: int


class DisputeState(StrEnum):
    """How a dispute stands. While it is open, the record doesn't count."""

    OPEN = "open"
    UPHELD = "upheld"
    CORRECTED = "corrected"
    WITHDRAWN = "withdrawn"
    TAKEN_BACK = "taken_back"


class Dispute(Struct, frozen=True, kw_only=True):
    """A record that its subject contests, as its source sees it: to be answered by ``due_at``."""

    id: str
    state: str
    record_id: str
    record_type: str
    source_ref: str
    statement: str | None
    opened_at: datetime
    due_at: datetime
    settled_at: datetime | None
    settled_by: str | None
    answer: str | None
