"""Positive records as criteria see them, as they are kept, and what an import says about each row. Pure."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct

from ..catalogue.model import Fault
from ..storage.kept import AUDIT_KEPT
from ..subjects.model import IdentifierProblem


class Record(Struct, frozen=True):
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


class Wish(Struct, frozen=True):
    """That a subject keeps a fact of this type off their record."""

    record_type: str
    created_at: datetime


class Withholding(Struct, frozen=True, order=True):
    """A record type that a subject keeps from a scenario: there it looks as if no such record existed."""

    scenario_id: str
    record_type: str


class DisputeState(StrEnum):
    """How a dispute stands. While it is open, the record doesn't count."""

    OPEN = "open"
    UPHELD = "upheld"
    """The record stands as it is, and counts again."""
    CORRECTED = "corrected"
    """The record was put right, and counts again."""
    WITHDRAWN = "withdrawn"
    """The record was taken back: it isn't there any more."""
    TAKEN_BACK = "taken_back"
    """The subject contests it no more."""


class Settler(StrEnum):
    """Who settled a dispute."""

    SOURCE = "source"
    OPERATOR = "operator"
    SUBJECT = "subject"


class Dispute(Struct, frozen=True, kw_only=True):
    """A record that its subject contests (异议)."""

    id: str
    subject_id: str
    record_id: str
    """The record itself may be gone since."""
    record_type: str
    source_id: str
    source_ref: str
    statement: str | None
    """What the subject says is wrong with it."""
    opened_at: datetime
    due_at: datetime
    """The end of the last working day for an answer."""
    state: DisputeState
    settled_at: datetime | None = None
    settled_by: Settler | None = None
    answer: str | None = None
    """What the subject is told."""

    @property
    def open(self) -> bool:
        return self.state is DisputeState.OPEN


def due_within(due_at: datetime) -> datetime:
    """The last minute in time, which is what people are shown: they read midnight as belonging to either day."""
    return due_at - timedelta(minutes=1)


class Verdict(StrEnum):
    """What an import did with one row."""

    ACCEPTED = "accepted"
    """New, and stored."""
    UPDATED = "updated"
    """A newer observation of a fact that was there: it took its place."""
    UNCHANGED = "unchanged"
    """There already, exactly so."""
    SUPERSEDED = "superseded"
    """Older than what is there: nothing changed."""
    REJECTED = "rejected"
    """Not stored; the code says why."""


class RowProblem(StrEnum):
    """Why a row is rejected, beside the catalogue's faults and the identifiers' problems."""

    LINE_TOO_LONG = "line_too_long"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    NOT_CSV = "not_csv"
    WRONG_CELL_COUNT = "wrong_cell_count"
    RECORD_TYPE_UNKNOWN = "record_type_unknown"
    RECORD_TYPE_DISABLED = "record_type_disabled"
    RECORD_TYPE_OF_OTHERS = "record_type_of_others"
    """The source doesn't supply this record type."""
    SUBJECT_KIND_MISMATCH = "subject_kind_mismatch"
    REGION_UNKNOWN = "region_unknown"
    ENDS_BEFORE_OBSERVED = "ends_before_observed"
    HOLDS_IDENTIFIER = "holds_identifier"
    """An identifier, the subject's or another's, stands in a member that is stored in clear."""
    NEGATIVE_TEXT = "negative_text"
    """A text speaks of something negative: only positive facts are recorded."""
    SUBJECT_CHANGED = "subject_changed"
    """The source_ref is known for another subject."""
    RECORD_TYPE_CHANGED = "record_type_changed"
    """The source_ref is known for another record type."""
    OBSERVATION_CONFLICT = "observation_conflict"
    """Other content, observed at the same moment as what is there: only a later observation replaces it."""
    NOT_STORABLE = "not_storable"
    """The database refused the row."""


class RowRefused(Exception):
    """A row isn't taken. Carries the member's name, where one is to blame, and a code: never a value."""

    def __init__(self, member: str | None, code: RowProblem | Fault | IdentifierProblem) -> None:
        super().__init__(member, code)
        self.member = member
        self.code = code


class RowVerdict(Struct, frozen=True, omit_defaults=True):
    """One line of an import's report."""

    line: int
    """Counted from 1; a CSV file's header is line 1."""
    verdict: Verdict
    member: str | None = None
    code: str | None = None


LINES_KEPT: Final = timedelta(days=90)
"""How long after an import its source can ask what became of each line: time to put the file right and send it anew."""


class RecordBatch(Struct, frozen=True, kw_only=True):
    """One import and how far it came.

    That a source supplied so many rows, and when, is kept as the law asks; what became of each line is for the source
    alone, and kept for :data:`LINES_KEPT`.
    """

    id: str
    source_id: str
    format: str
    lines: int
    """Lines read, blank ones and a header included: everything up to here is stored or rejected for good."""
    accepted: int
    updated: int
    unchanged: int
    superseded: int
    rejected: int
    created_at: datetime
    finished_at: datetime | None

    @property
    def finished(self) -> bool:
        return self.finished_at is not None

    def is_kept(self, at: datetime) -> bool:
        """Whether it is known at all at this moment."""
        return at < self.created_at + AUDIT_KEPT

    def lines_are_kept(self, at: datetime) -> bool:
        """Whether what became of its lines is known at this moment. What was interrupted may go on, and keeps them."""
        return self.finished_at is None or at < self.finished_at + LINES_KEPT

    @property
    def rows(self) -> int:
        return self.accepted + self.updated + self.unchanged + self.superseded + self.rejected
