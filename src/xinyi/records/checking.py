"""From a row to what can be stored: against the data list, the source's share of it, and the calendar."""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final

import msgspec
from msgspec import Struct

from ..catalogue.model import Fault, FieldError, RecordType, Value
from ..catalogue.negative import is_negative
from ..catalogue.service import Catalogue
from ..kernel.canonical import digest
from ..kernel.clock import CHINA_TIME
from ..subjects import regions
from ..subjects.model import Identifier, IdentifierRefused
from ..subjects.scanning import holds_identifier
from ..subjects.service import SubjectService
from .model import RowProblem, RowRefused
from .rows import Row

MAX_SOURCE_REF: Final = 128
EARLIEST: Final = datetime(1949, 10, 1, tzinfo=CHINA_TIME)
LATEST: Final = datetime(2200, 1, 1, tzinfo=CHINA_TIME)


class Checked(Struct, frozen=True, kw_only=True):
    """A row that can be stored."""

    identifier: Identifier
    record_type: str
    source_ref: str
    region: str
    observed_at: datetime
    valid_until: datetime | None
    fields: dict[str, Value]
    digest: str
    """Over everything that the source said of the fact."""


class RowChecker:
    """Checks the rows that one source sends. ``supplied``: the codes of the record types it may send."""

    def __init__(
        self,
        subjects: SubjectService,
        catalogue: Catalogue,
        supplied: Collection[str],
        *,
        from_text: bool,
        now: datetime,
    ) -> None:
        self._subjects = subjects
        self._catalogue = catalogue
        self._supplied = frozenset(supplied)
        self._from_text = from_text
        self._now = now

    def check(self, row: Row) -> Checked:
        """Raises :class:`RowRefused` for the first thing that is wrong."""
        record_type = self._record_type(row.record_type)
        identifier = self._identifier(row, record_type)
        source_ref = _source_ref(row.source_ref)
        region = _region(row.region, identifier)
        observed_at = self._observed_at(row.observed_at)
        fields = self._fields(row.fields, record_type, observed_at)
        valid_until = _valid_until(row.valid_until, record_type.ends_at(fields), observed_at)
        self._require_fit_text({"source_ref": source_ref, **fields}, identifier)
        return Checked(
            identifier=identifier,
            record_type=record_type.code,
            source_ref=source_ref,
            region=region,
            observed_at=observed_at,
            valid_until=valid_until,
            fields=fields,
            digest=digest((record_type.code, region, observed_at, valid_until, fields)),
        )

    def _record_type(self, code: str) -> RecordType:
        if code not in self._catalogue:
            raise RowRefused("record_type", RowProblem.RECORD_TYPE_UNKNOWN)
        if code not in self._supplied:
            raise RowRefused("record_type", RowProblem.RECORD_TYPE_OF_OTHERS)
        record_type = self._catalogue.get(code)
        if not record_type.enabled:
            raise RowRefused("record_type", RowProblem.RECORD_TYPE_DISABLED)
        return record_type

    def _identifier(self, row: Row, record_type: RecordType) -> Identifier:
        kinds = record_type.subject_kinds
        kind = row.subject_kind
        if kind is None and len(kinds) == 1:
            kind = kinds[0]
        if kind is not None and kind not in kinds:
            raise RowRefused("subject_kind", RowProblem.SUBJECT_KIND_MISMATCH)
        try:
            return self._subjects.validate(row.subject, kind)
        except IdentifierRefused as refused:
            raise RowRefused("subject", refused.problem) from None

    def _observed_at(self, text: str) -> datetime:
        observed_at = _moment("observed_at", text)
        if observed_at > self._now:
            raise RowRefused("observed_at", Fault.IN_FUTURE)
        return observed_at

    def _fields(self, given: Mapping[str, object], record_type: RecordType, observed_at: datetime) -> dict[str, Value]:
        observed_on = observed_at.astimezone(CHINA_TIME).date()
        try:
            return record_type.validate(given, from_text=self._from_text, observed_on=observed_on)
        except FieldError as error:
            raise RowRefused("fields" if error.member == "fields" else f"fields.{error.member}", error.code) from None

    def _require_fit_text(self, stored: Mapping[str, Value], subject: Identifier) -> None:
        """What a source may put into its texts is stored in clear, and shown: no identifier, and nothing negative."""
        for member, value in stored.items():
            if isinstance(value, str):
                named = member if member == "source_ref" else f"fields.{member}"
                if holds_identifier(value, self._now, subject):
                    raise RowRefused(named, RowProblem.HOLDS_IDENTIFIER)
                if is_negative(value):
                    raise RowRefused(named, RowProblem.NEGATIVE_TEXT)


def _source_ref(text: str) -> str:
    if not 1 <= len(text) <= MAX_SOURCE_REF:
        raise RowRefused("source_ref", Fault.OUT_OF_RANGE)
    if not text.isprintable() or text != text.strip():
        raise RowRefused("source_ref", Fault.WRONG_FORM)
    return text


def _region(code: str, identifier: Identifier) -> str:
    if not regions.is_plausible(code) or (regions.is_synthetic(code) and not identifier.is_synthetic):
        raise RowRefused("region", RowProblem.REGION_UNKNOWN)
    return code


def _valid_until(text: str | None, by_fields: datetime | None, observed_at: datetime) -> datetime | None:
    given = None if text is None else _moment("valid_until", text, at_end_of_day=True)
    ends = [end for end in (given, by_fields) if end is not None]
    if not ends:
        return None
    if min(ends) <= observed_at:
        raise RowRefused("valid_until", RowProblem.ENDS_BEFORE_OBSERVED)
    return min(ends)


@lru_cache(4096)  # the rows of a file are of few days
def _moment(member: str, text: str, *, at_end_of_day: bool = False) -> datetime:
    """In UTC: of RFC 3339 with an offset, or of a day in China."""
    try:
        if len(text) == len("2026-11-02"):
            day = msgspec.convert(text, date) + timedelta(days=1 if at_end_of_day else 0)
            moment = datetime.combine(day, time(), CHINA_TIME)
        else:
            moment = msgspec.convert(text, datetime)
        if moment.tzinfo is None:
            raise RowRefused(member, Fault.WRONG_FORM)
        in_range = EARLIEST <= moment <= LATEST
    except (msgspec.ValidationError, UnicodeError, OverflowError):
        raise RowRefused(member, Fault.WRONG_FORM) from None
    if not in_range:
        raise RowRefused(member, Fault.OUT_OF_RANGE)
    return moment.astimezone(UTC)
