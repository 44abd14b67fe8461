"""What the platform answers, as frozen values.

Members that this version doesn't know are ignored. Words from a closed list (outcomes, states) are plain strings, so
that one that is new to this version survives; :class:`Outcome`, :class:`ConsentState` and :class:`BatchState` name
those known today.
"""

from .batches import Batch, BatchItem, BatchOutcomes, BatchState, Question
from .checks import Answer, Criterion, Outcome
from .common import ScenarioVersion, Text
from .consents import Consent, ConsentEnd, ConsentRequest, ConsentState, Subject
from .ledger import InclusionProof
from .metadata import Behaviour, ErrorCode, OutcomeWording, RecordField, RecordType
from .records import RecordBatch, RecordError
from .scenarios import (
    DryRun,
    DryRunAnswer,
    DryRunCase,
    DryRunResult,
    Fact,
    Scenario,
    ScenarioConsent,
    ScenarioCriterion,
    ScenarioSummary,
)

__all__ = [
    "Answer",
    "Batch",
    "BatchItem",
    "BatchOutcomes",
    "BatchState",
    "Behaviour",
    "Consent",
    "ConsentEnd",
    "ConsentRequest",
    "ConsentState",
    "Criterion",
    "DryRun",
    "DryRunAnswer",
    "DryRunCase",
    "DryRunResult",
    "ErrorCode",
    "Fact",
    "InclusionProof",
    "Outcome",
    "OutcomeWording",
    "Question",
    "RecordBatch",
    "RecordError",
    "RecordField",
    "RecordType",
    "Scenario",
    "ScenarioConsent",
    "ScenarioCriterion",
    "ScenarioSummary",
    "ScenarioVersion",
    "Subject",
    "Text",
]
