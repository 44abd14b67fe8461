"""A job of many checks: how far it is, and what became of each item."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct

from ..checks.model import CheckRequest, Result

MAX_ITEMS: Final = 100_000
"""The most items of one batch."""
LEAST_KEPT: Final = 7
"""Days for which a batch is kept in any case, so that its partner can fetch what became of it; and an upload that was
interrupted, so that it can go on."""


class BatchFormat(StrEnum):
    """How an upload is written."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


class CheckBatchState(StrEnum):
    """How far a batch is."""

    RECEIVING = "receiving"
    """Its items are being stored, or that was interrupted: the same upload under the same key goes on."""
    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"


class ItemFault(StrEnum):
    """Why an item of an upload can't be taken."""

    LINE_TOO_LONG = "line_too_long"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    NOT_CSV = "not_csv"
    WRONG_CELL_COUNT = "wrong_cell_count"
    WRONG_TYPE = "wrong_type"
    UNKNOWN_MEMBER = "unknown_member"
    REQUIRED = "required"
    WRONG_FORM = "wrong_form"


class BadItem(Exception):
    """An item can't be taken. Carries a code and the member to blame, if one is; never a value."""

    def __init__(self, code: ItemFault, member: str | None = None) -> None:
        super().__init__(code, member)
        self.code = code
        self.member = member


class CheckBatch(Struct, frozen=True, kw_only=True):
    """One batch. Items are answered in their order, so that ``done`` says which ones: those up to this number.

    ``consent_id`` is set when the token that made it is bound to one consent. ``received`` counts the items that are
    stored, of ``total``. ``answered`` and ``refused`` add up to ``done``. It is kept for ``keep_days`` after its end;
    from ``kept_until`` on it is as one that was never there.
    """

    id: str
    partner_id: str
    client_id: str
    consent_id: str | None
    total: int
    received: int
    done: int
    answered: int
    refused: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    keep_days: int
    kept_until: datetime | None

    @property
    def state(self) -> CheckBatchState:
        if self.finished_at is not None:
            return CheckBatchState.FINISHED
        if self.received < self.total:
            return CheckBatchState.RECEIVING
        return CheckBatchState.QUEUED if self.started_at is None else CheckBatchState.RUNNING

    @property
    def waiting(self) -> int:
        return self.total - self.done

    def kept_after(self, end: datetime) -> datetime:
        """Until when it is kept, once it is finished at ``end``."""
        return end + timedelta(days=self.keep_days)


class BatchItem(Struct, frozen=True):
    """One question of a batch, with its number from 1."""

    number: int
    request: CheckRequest


class ItemResult(Struct, frozen=True):
    """One item with what a call would have been answered, or is answered now that its consent was withdrawn."""

    item: BatchItem
    result: Result
