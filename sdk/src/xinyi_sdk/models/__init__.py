"""What the platform answers, as frozen values.

Members that this version doesn't know are ignored. Words from a closed list (outcomes, states) are plain strings, so
that one that is new to this version survives; :class:`Outcome`, :class:`ConsentState` and :class:`BatchState` name
those known today.
"""

from .batches import (
    Batch,
    BatchItem,
    BatchOutcomes,
    BatchState,
    Question,
)
from .checks import (
    Answer,
    CheckSummary,
    Criterion,
    Feedback,
    Outcome,
)
from .common import (
    ScenarioVersion,
    Text,
    Unit,
)
from .consents import (
    Consent,
    ConsentCopy,
    ConsentEnd,
    ConsentLink,
    ConsentRequest,
    ConsentState,
    Extension,
    ExtensionState,
    Reminder,
    Subject,
)
from .events import (
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    Event,
    EventPage,
    EventSubscription,
    EventType,
    Redelivered,
    SubscriptionSecret,
)
from .ledger import (
    InclusionProof,
)
from .metadata import (
    Behaviour,
    ErrorCode,
    OutcomeWording,
    RecordField,
    RecordType,
)
from .partner import (
    GivenScenario,
    PartnerClient,
    PartnerInfo,
    PartnerKey,
    Quota,
    Usage,
    UsageRow,
)
from .records import (
    Correction,
    Dispute,
    DisputeState,
    RecordBatch,
    RecordError,
    Repaired,
    RepairedRecord,
    SourceRecord,
)
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
    "CheckSummary",
    "Consent",
    "ConsentCopy",
    "ConsentEnd",
    "ConsentLink",
    "ConsentRequest",
    "ConsentState",
    "Correction",
    "Criterion",
    "Delivery",
    "DeliveryAttempt",
    "DeliveryState",
    "Dispute",
    "DisputeState",
    "DryRun",
    "DryRunAnswer",
    "DryRunCase",
    "DryRunResult",
    "ErrorCode",
    "Event",
    "EventPage",
    "EventSubscription",
    "EventType",
    "Extension",
    "ExtensionState",
    "Fact",
    "Feedback",
    "GivenScenario",
    "InclusionProof",
    "Outcome",
    "OutcomeWording",
    "PartnerClient",
    "PartnerInfo",
    "PartnerKey",
    "Question",
    "Quota",
    "RecordBatch",
    "RecordError",
    "RecordField",
    "RecordType",
    "Redelivered",
    "Reminder",
    "Repaired",
    "RepairedRecord",
    "Scenario",
    "ScenarioConsent",
    "ScenarioCriterion",
    "ScenarioSummary",
    "ScenarioVersion",
    "SourceRecord",
    "Subject",
    "SubscriptionSecret",
    "Text",
    "Unit",
    "Usage",
    "UsageRow",
]
