"""Records, for those who supply them."""

from collections.abc import Mapping
from datetime import datetime

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
