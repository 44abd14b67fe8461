"""Many checks as one job."""

from datetime import datetime
from enum import StrEnum
from typing import TypedDict

import msgspec
from msgspec import Struct

from ..errors import APIError
from .checks import Answer


class Question(TypedDict):
    """One check to ask for in a batch: what ``checks.create`` takes."""

    scenario: str
    consent_id: str
    reference: str


class BatchState(StrEnum):
    """The states of a batch."""

    RECEIVING = "receiving"
    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"


class BatchOutcomes(Struct, frozen=True, kw_only=True):
    """The answers of a batch by outcome, without those that aren't given again since the subject withdrew."""

    met: int
    not_evidenced: int


class Batch(Struct, frozen=True, kw_only=True):
    """Many checks as one job, as it stood when it was read.

    ``answered``, ``refused`` and ``waiting`` add up to ``total``; ``outcomes`` is there once it is finished.
    """

    id: str
    state: str
    total: int
    waiting: int
    answered: int
    refused: int
    outcomes: BatchOutcomes | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def done(self) -> int:
        """The items that were answered or refused."""
        return self.answered + self.refused

    @property
    def finished(self) -> bool:
        """Whether every item is done."""
        return self.state == BatchState.FINISHED


class BatchItem(Struct, frozen=True, kw_only=True):
    """One item of a batch that is done: the ``answer``, or the ``error`` that a call would have raised.

    ``number`` is its place in the batch, from 1; ``consent_id`` and ``reference`` are those that were sent.
    """

    number: int
    consent_id: str
    reference: str
    answer: Answer | None = None
    error: APIError | None = None

    @property
    def met(self) -> bool:
        """Whether it was answered, and the criteria are met. ``False`` says nothing about the subject."""
        return self.answer is not None and self.answer.met

    def to_json(self) -> str:
        """The item as the API wrote it, on one line: what to archive."""
        head = {"number": self.number, "consent_id": self.consent_id, "reference": self.reference}
        if self.answer is None:
            return msgspec.json.encode({**head, "problem": self.error.problem if self.error else None}).decode()
        return msgspec.json.encode(head).decode()[:-1] + "," + self.answer.to_json()[1:]
