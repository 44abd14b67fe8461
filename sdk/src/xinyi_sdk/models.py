"""What the platform answers, as frozen values.

Members that this version doesn't know are ignored. Words from a closed list (outcomes, states) are plain strings, so
that one that is new to this version survives; :class:`Outcome` and :class:`ConsentState` name those known today.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypedDict

import msgspec
from msgspec import Struct

from .errors import APIError
from .receipts import Receipt

__all__ = [
    "Answer",
    "Batch",
    "BatchItem",
    "BatchOutcomes",
    "BatchState",
    "Consent",
    "ConsentEnd",
    "ConsentRequest",
    "ConsentState",
    "Criterion",
    "Outcome",
    "Question",
    "RecordBatch",
    "RecordError",
    "Scenario",
    "ScenarioConsent",
    "ScenarioCriterion",
    "ScenarioSummary",
    "ScenarioVersion",
    "Subject",
    "Text",
]


class Outcome(StrEnum):
    """The outcomes of a check or a criterion. ``not_evidenced`` says nothing about the subject."""

    MET = "met"
    NOT_EVIDENCED = "not_evidenced"


class ConsentState(StrEnum):
    """The states of a consent."""

    AWAITING_AUTHORISATION = "awaiting_authorisation"
    AUTHORISED = "authorised"
    PAUSED = "paused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    CONSUMED = "consumed"
    REJECTED = "rejected"


class Text(Struct, frozen=True):
    """A text for people, in Chinese and English."""

    zh: str
    en: str

    def __str__(self) -> str:
        return self.zh


class ScenarioVersion(Struct, frozen=True):
    """Which published text of a scenario was used: its digest pins every word of it."""

    id: str
    version: int
    digest: str


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


class ScenarioConsent(Struct, frozen=True, kw_only=True):
    """The consent that a scenario asks for: ``separate`` or ``written``, ``once`` or ``recurring``."""

    form: str
    max_days: int
    uses: str


class ScenarioSummary(Struct, frozen=True, kw_only=True):
    """A published scenario as the list shows it. ``subject_kind`` is ``natural_person`` or ``legal_person``."""

    id: str
    version: int
    digest: str
    name: Text
    incentive: Text
    partner_kinds: tuple[str, ...]
    subject_kind: str
    consent: ScenarioConsent


class ScenarioCriterion(Struct, frozen=True, kw_only=True):
    """One published criterion: some current record of the type satisfies the ``test``, by field.

    ``disclose`` is ``none``, ``outcome``, ``band`` or ``value``; ``fields`` may be disclosed as they are, ``bands`` as
    the band between the lower bounds listed.
    """

    id: str
    record: str
    test: Mapping[str, Mapping[str, Any]]
    max_age: timedelta
    necessity: Text
    disclose: str
    fields: tuple[str, ...]
    bands: Mapping[str, tuple[int, ...]]


class Scenario(ScenarioSummary, frozen=True, kw_only=True):
    """A published scenario, whole: what is asked and for what purpose, and what someone who refuses can do instead.

    ``units`` is all that may be disclosed beside the outcome; ``explanation`` says what each outcome means.
    """

    published: bool
    purpose: Text
    legal_basis: Text
    fallback: Text
    criteria: tuple[ScenarioCriterion, ...]
    units: tuple[str, ...]
    answer_ttl: timedelta
    retention_days: int
    explanation: Mapping[str, Text]


class Subject(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A subject that the partner knows already: a USCC or a resident id, which never shows in ``repr``.

    ``kind`` (``legal_person`` or ``natural_person``) is needed only when the identifier fits both.
    """

    identifier: str
    kind: str | None = None

    def __repr__(self) -> str:
        return "Subject(…)"


class RecordBatch(Struct, frozen=True, kw_only=True):
    """What became of an upload of records. ``rows`` counts them by verdict: ``accepted``, ``rejected`` and others."""

    id: str
    state: str
    lines: int
    rows: Mapping[str, int]
    created_at: datetime
    finished_at: datetime | None


class RecordError(Struct, frozen=True, kw_only=True):
    """Why a row was rejected: a line (from 1), a code, and the member to blame where one is. Never a value."""

    line: int
    code: str
    member: str | None = None


class ConsentEnd(Struct, frozen=True, kw_only=True):
    """How a consent ended: when, by whom (``subject``, ``partner``, ``operator``, ``time``) and why."""

    at: datetime
    by: str
    reason: str


class Consent(Struct, frozen=True, kw_only=True):
    """A subject's consent to one scenario for one partner, as it stood when it was read.

    ``units`` are the criteria and fields that an answer may tell; ``uses`` is ``once`` or ``recurring``; ``subject`` is
    the subject's id for this partner alone.
    """

    id: str
    state: str
    scenario: ScenarioVersion
    units: tuple[str, ...]
    uses: str
    use_count: int
    subject: str | None
    created_at: datetime
    authorised_at: datetime | None
    expires_at: datetime | None
    ended: ConsentEnd | None

    @property
    def usable(self) -> bool:
        """Whether it was authorised when it was read. It may have ended since: only a check decides."""
        return self.state == ConsentState.AUTHORISED


class ConsentRequest(Struct, frozen=True, kw_only=True):
    """A consent that was asked for. Send the subject to ``url`` and keep the rest until the callback.

    Any process of the partner may finish it. It holds secrets (``code_verifier`` and the request's own
    ``proof_key``), so keep it on the server or in an encrypted session, and neither in a log nor in a cookie that the
    browser can read.
    """

    url: str
    state: str
    scenario: str
    redirect_uri: str
    issuer: str
    expires_at: datetime
    code_verifier: str
    proof_key: str

    def __repr__(self) -> str:
        return f"ConsentRequest(scenario={self.scenario!r}, expires_at={self.expires_at.isoformat()}, …)"

    def to_json(self) -> str:
        """The request as text, for a session store."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> "ConsentRequest":
        """What :meth:`to_json` wrote. Raises ``ValueError`` for anything else."""
        return msgspec.json.decode(text, type=cls)
