"""Published scenarios, and what synthetic facts would give."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NotRequired, TypedDict

from msgspec import Struct

from .checks import Criterion
from .common import ScenarioVersion, Text


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
    disclosure_reason: Text | None = None


class Scenario(ScenarioSummary, frozen=True, kw_only=True):
    """A published scenario, whole: what is asked and for what purpose, and what someone who refuses can do instead.

    ``rule`` combines the criteria with ``all_of`` and ``any_of``; ``units`` is all that may be disclosed beside the
    outcome; ``explanation`` says what each outcome means.
    """

    published: bool
    purpose: Text
    legal_basis: Text
    fallback: Text
    criteria: tuple[ScenarioCriterion, ...]
    rule: Mapping[str, Any]
    units: tuple[str, ...]
    answer_ttl: timedelta
    retention_days: int
    explanation: Mapping[str, Text]
    pia_ref: str


class Fact(TypedDict):
    """One synthetic record of a dry run. ``observed`` is days before today, such as ``-30d``."""

    record: str
    fields: Mapping[str, Any]
    observed: NotRequired[str]
    disputed: NotRequired[bool]
    suppressed: NotRequired[bool]
    withheld: NotRequired[bool]


class DryRunCase(TypedDict):
    """Synthetic facts to evaluate, under a name of your own."""

    id: str
    facts: list[Fact]


class DryRunAnswer(Struct, frozen=True, kw_only=True):
    """What a partner would learn about a subject with these facts."""

    outcome: str
    criteria: tuple[Criterion, ...]
    disclosed: Mapping[str, Mapping[str, Any]]


class DryRunResult(Struct, frozen=True, kw_only=True):
    """One case's answer, that of the version compared to, and whether they differ (``None`` without comparison)."""

    id: str
    answer: DryRunAnswer
    compared: DryRunAnswer | None
    differs: bool | None


class DryRun(Struct, frozen=True, kw_only=True):
    """The answers for synthetic facts. Nothing was stored, and no subject was involved."""

    scenario: ScenarioVersion
    compared_to: ScenarioVersion | None
    results: tuple[DryRunResult, ...]
