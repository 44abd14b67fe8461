"""From a line to a row, as its source wrote it: NDJSON or CSV (RFC 4180, one row a line, UTF-8 with or without BOM)."""

import csv
import json
from codecs import BOM_UTF8
from enum import StrEnum
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from ..catalogue.model import Fault
from ..kernel.errors import Code, XinyiError
from ..subjects.model import SubjectKind
from .model import RowProblem, RowRefused


class Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One positive fact, with the identifier of its subject.

    In NDJSON one object a line, ``fields`` nested; in CSV one column each, the fields as ``fields.<name>``.
    ``observed_at`` and ``valid_until`` are RFC 3339 with an offset, or a day in China: its first moment, its end.
    Without ``subject_kind`` the record type and the identifier tell the kind.
    """

    subject: str
    record_type: str
    source_ref: str
    region: str
    observed_at: str
    fields: dict[str, object]
    valid_until: str | None = None
    subject_kind: SubjectKind | None = None


class Format(StrEnum):
    """How a file of rows is written."""

    NDJSON = "ndjson"
    CSV = "csv"


class RowReader(Protocol):
    """Reads the lines of one file, in order, the first one included."""

    from_text: bool
    """Whether field values arrive as text."""

    def read(self, line: bytes | None) -> Row | None:
        """The row, or ``None`` for a line without one. Raises :class:`RowRefused`, also when the line was too long."""
        ...


def reader_of(format_: Format) -> RowReader:
    return CsvReader() if format_ is Format.CSV else NdjsonReader()


class NdjsonReader:
    """One JSON object a line. Blank lines are passed over."""

    from_text = False

    def __init__(self) -> None:
        self._first = True

    def read(self, line: bytes | None) -> Row | None:
        first, self._first = self._first, False
        if line is None:
            raise RowRefused(None, RowProblem.LINE_TOO_LONG)
        if first:
            line = line.removeprefix(BOM_UTF8)
        if not line.strip():
            return None
        if (quick := _quickly(line)) is not None:
            return _row(quick)
        text = _text(line)
        try:
            members = _decoder.decode(text)
        except (ValueError, RecursionError):
            raise RowRefused(None, RowProblem.NOT_JSON) from None
        if not isinstance(members, dict):
            raise RowRefused(None, Fault.WRONG_TYPE)
        return _row(members)


class CsvReader:
    """A header line with the members' names, then one row a line: a line break inside quotes isn't taken.

    A quote that is never closed therefore costs its own row alone. Raises ``XinyiError(INVALID)`` for a header that no
    row could fit.
    """

    from_text = True

    def __init__(self) -> None:
        self._header: list[str] | None = None

    def read(self, line: bytes | None) -> Row | None:
        if self._header is None:
            self._header = _header(b"" if line is None else line.removeprefix(BOM_UTF8))
            return None
        if line is None:
            raise RowRefused(None, RowProblem.LINE_TOO_LONG)
        if not line.strip():
            return None
        cells = _cells(line)
        if len(cells) != len(self._header):
            raise RowRefused(None, RowProblem.WRONG_CELL_COUNT)
        members: dict[str, object] = {}
        fields: dict[str, object] = {}
        for name, cell in zip(self._header, cells, strict=True):
            if name.startswith(_FIELD):
                if cell:
                    fields[name.removeprefix(_FIELD)] = cell
            elif cell:
                members[name] = cell
        return _row({**members, "fields": fields})


_FIELD: Final = "fields."
_ALL: Final = frozenset(Row.__struct_fields__)
_MEMBERS: Final = tuple(name for name in Row.__struct_fields__ if name != "fields")
_OPTIONAL: Final = ("valid_until", "subject_kind")
_REQUIRED: Final = tuple(name for name in Row.__struct_fields__ if name not in _OPTIONAL)
_COLUMNS: Final = tuple(name for name in _REQUIRED if name != "fields")
_KINDS: Final = frozenset(SubjectKind)


def _header(line: bytes) -> list[str]:
    try:
        names = [name.strip() for name in _cells(line)]
    except RowRefused:
        raise XinyiError(Code.INVALID, "the first line must be a CSV header in UTF-8", source="header") from None
    if missing := [name for name in _COLUMNS if name not in names]:
        raise XinyiError(Code.INVALID, f"the CSV header lacks {', '.join(missing)}", source="header")
    if len(set(names)) != len(names):
        raise XinyiError(Code.INVALID, "a column stands twice in the CSV header", source="header")
    if not all(name in _MEMBERS or name.startswith(_FIELD) for name in names):
        wanted = ", ".join((*_MEMBERS, "fields.<name>"))
        raise XinyiError(Code.INVALID, f"the CSV header may hold {wanted} and nothing else", source="header")
    return names


def _cells(line: bytes) -> list[str]:
    try:
        return next(csv.reader([_text(line)], strict=True), [])
    except csv.Error:
        raise RowRefused(None, RowProblem.NOT_CSV) from None


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise RowRefused(None, RowProblem.NOT_UTF8) from None


def _row(members: dict[str, Any]) -> Row:
    """Checked by hand rather than by msgspec, whose sentences would have to be read for the member's name."""
    if not _ALL.issuperset(members):
        raise RowRefused(None, Fault.UNKNOWN_MEMBER)
    for name in _REQUIRED:
        if name not in members:
            raise RowRefused(name, Fault.REQUIRED)
    for name, value in members.items():
        optional = value is None and name in _OPTIONAL
        if not optional and not isinstance(value, dict if name == "fields" else str):
            raise RowRefused(name, Fault.WRONG_TYPE)
    kind = members.get("subject_kind")
    if kind is not None and kind not in _KINDS:
        raise RowRefused("subject_kind", Fault.NOT_IN_LIST)
    return Row(**{**members, "subject_kind": None if kind is None else SubjectKind(kind)})


def _quickly(line: bytes) -> dict[str, Any] | None:
    """The members of an ordinary row, or ``None``: then whoever takes longer finds out what it is.

    This decoder lets a member stand twice; but of one that it doesn't tell there are quotation marks too many.
    """
    try:
        members = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(members, dict) or not isinstance(members.get("fields"), dict):
        return None
    types = [*map(type, members.values()), *map(type, members["fields"].values())]
    quotes = 2 * (len(types) + types.count(str))
    return members if quotes == line.count(b'"') else None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _no_number(_name: str) -> None:
    raise ValueError("NaN and Infinity aren't JSON")


_decoder: Final = json.JSONDecoder(object_pairs_hook=_once_each, parse_constant=_no_number)
