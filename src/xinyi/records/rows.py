"""One row of an import, as its source writes it."""

from msgspec import Struct

from ..subjects.model import SubjectKind


class Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One positive fact, with the identifier of its subject.

    In NDJSON one object a line, ``fields`` nested; in CSV one column each, the fields as ``fields.<name>``.
    ``observed_at`` and ``valid_until`` are RFC 3339 with an offset, or a day in China: its first moment, its end.
    ``subject_kind`` is needed only where the record type takes both kinds and the identifier fits both.
    """

    subject: str
    record_type: str
    source_ref: str
    region: str
    observed_at: str
    fields: dict[str, object]
    valid_until: str | None = None
    subject_kind: SubjectKind | None = None
