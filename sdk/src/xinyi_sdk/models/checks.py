"""Answers to checks."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

from ..receipts import Receipt
from .common import ScenarioVersion


class Outcome(StrEnum):
    """The outcomes of a check or a criterion. ``not_evidenced`` says nothing about the subject."""

    MET = "met"
    NOT_EVIDENCED = "not_evidenced"


class Criterion(Struct, frozen=True):
    """What was disclosed about one criterion."""

    id: str
    outcome: str

    @property
    def met(self) -> bool:
        """Whether a current record satisfies it. ``False`` says nothing about the subject."""
        return self.outcome == Outcome.MET


class Answer(Struct, frozen=True, kw_only=True):
    """The answer to one check.

    ``subject`` is the subject's id for this partner alone; ``criteria`` holds those whose outcome is disclosed, by
    id; ``disclosed`` holds values and bands, by criterion and field, and is empty unless the outcome is ``met``;
    ``salts`` opens the receipt's commitments to them: keep it with the answer.
    """

    id: str
    scenario: ScenarioVersion
    subject: str
    outcome: str
    criteria: Mapping[str, Criterion]
    disclosed: Mapping[str, Mapping[str, Any]]
    as_of: datetime
    valid_until: datetime
    consent_expires_at: datetime | None
    salts: Mapping[str, Mapping[str, str]]
    receipt: Receipt

    @property
    def met(self) -> bool:
        """Whether the scenario's published criteria are met. ``False`` says nothing about the subject."""
        return self.outcome == Outcome.MET

    def to_json(self) -> str:
        """The answer and its receipt as the API wrote them: what to archive, and what ``xinyi-sdk verify`` reads."""
        data = {name: getattr(self, name) for name in self.__struct_fields__ if name != "receipt"}
        data["criteria"] = list(self.criteria.values())
        return msgspec.json.encode({"data": data, "receipt": self.receipt.text}).decode()


class CheckSummary(Struct, frozen=True, kw_only=True):
    """A check in a list: its ``outcome``, or the code of the ``refusal`` that reading it meets now."""

    id: str
    scenario: str
    consent_id: str
    reference: str
    outcome: str | None
    refusal: str | None
    created_at: datetime


class Feedback(Struct, frozen=True, kw_only=True):
    """What came of a check, as its partner said: ``offered``, ``granted`` or ``not_used``, and about what it was worth.

    How the subject behaved has no place in it.
    """

    check_id: str
    result: str
    benefit_band: str | None
    created_at: datetime
    changed_at: datetime
