"""Positive records as criteria see them, as they are kept, and what an import says about each row. Pure."""

from datetime import datetime

from msgspec import Struct


class Record(Struct, frozen=True, kw_only=True):
    """One positive fact about a subject, as its source gave it.

    ``fields`` are typed as the record type says; a date is its ISO 8601 text. ``valid_until`` is the earliest end that
    the source or the fields name. The three flags say that the record is there and doesn't count: ``disputed`` by the
    subject, ``suppressed`` (kept off the record) or ``withheld`` from this scenario by the subject.
    """

    record_type: str
    source: str
    source_ref: str
    observed_at: datetime
    valid_until: datetime | None
    fields: dict[str, str | int | bool]
    disputed: bool = False
    suppressed: bool = False
    withheld: bool = False


class StoredRecord(Struct, frozen=True, kw_only=True):
    """A record with everything that its subject may see of it."""

    id: str
    record_type: str
    source_id: str
    source_ref: str
    region: str
    observed_at: datetime
    valid_until: datetime | None
    fields: dict[str, str | int | bool]
    disputed_at: datetime | None
    suppressed_at: datetime | None
    imported_at: datetime


class Withholding(Struct, frozen=True, order=True):
    """A record type that a subject keeps from a scenario: there it looks as if no such record existed."""

    scenario_id: str
    record_type: str
