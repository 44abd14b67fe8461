"""Scenarios as the API shows them: everything that the file says, with nothing left out as a default."""

from datetime import timedelta
from typing import Annotated

from msgspec import Meta, Struct

from ..kernel.text import Text
from ..subjects.model import SubjectKind
from .disclosure import CriterionOutcome, Disclosure
from .facts import Fact
from .model import (
    Condition,
    ConsentForm,
    Criterion,
    Disclose,
    Explanation,
    Outcome,
    Rule,
    Scenario,
    Slug,
    Uses,
    Value,
)

Id = Annotated[str, Meta(description="The scenario's id.", examples=["microloan-prescreen"])]
Version = Annotated[int, Meta(description="The version.", examples=[1])]
Digest = Annotated[
    str,
    Meta(
        description="SHA-256 over the canonical form of this version.",
        examples=["sha-256:8Vq3…"],
    ),
]


class ConsentTerms(Struct, frozen=True):
    """The consent that the scenario asks for."""

    form: Annotated[ConsentForm, Meta(description="Separate or written consent.")]
    max_days: Annotated[int, Meta(description="Days until it ends by itself.")]
    uses: Annotated[Uses, Meta(description="Whether it allows one check or several.")]


class ScenarioSummary(Struct, frozen=True):
    """One scenario in the list."""

    id: Id
    version: Version
    digest: Digest
    name: Annotated[Text, Meta(description="What it is called.")]
    incentive: Annotated[Text, Meta(description="What a subject gets.")]
    partner_kinds: Annotated[tuple[Slug, ...], Meta(description="Which partners may use it.")]
    subject_kind: Annotated[SubjectKind, Meta(description="Whom it is about.")]
    consent: Annotated[ConsentTerms, Meta(description="The consent that it asks for.")]


class CriterionView(Struct, frozen=True):
    """One published criterion."""

    id: Annotated[Slug, Meta(description="The criterion's id.", examples=["tax-rating"])]
    record: Annotated[str, Meta(description="The record type.", examples=["TAX_RATING"])]
    test: Annotated[dict[str, Condition], Meta(description="What some current record must be, by field.")]
    max_age: Annotated[timedelta, Meta(description="How long after its observation a record counts.")]
    necessity: Annotated[Text, Meta(description="Why the fact is needed.")]
    disclose: Annotated[Disclose, Meta(description="What may be told about this criterion alone.")]
    fields: Annotated[tuple[str, ...], Meta(description="Fields that may be disclosed as they are.")]
    bands: Annotated[
        dict[str, tuple[int, ...]], Meta(description="Fields that may be disclosed as bands, with the lower bounds.")
    ]
    disclosure_reason: Annotated[Text | None, Meta(description="Why the overall outcome alone isn't enough.")]


class ScenarioView(ScenarioSummary, frozen=True, kw_only=True):
    """One version of one scenario, whole."""

    published: Annotated[bool, Meta(description="Whether this version is in use.")]
    purpose: Annotated[Text, Meta(description="What the answer may be used for.")]
    legal_basis: Annotated[Text, Meta(description="What makes it lawful.")]
    fallback: Annotated[Text, Meta(description="What stays open to a subject who refuses.")]
    criteria: Annotated[list[CriterionView], Meta(description="The criteria.")]
    rule: Annotated[Rule, Meta(description="How the criteria make the overall outcome.")]
    units: Annotated[
        list[str],
        Meta(
            description="All that may be disclosed beside the overall outcome: `criterion` or `criterion.field`.",
            examples=[["tax-rating", "tax-rating.grade"]],
        ),
    ]
    answer_ttl: Annotated[timedelta, Meta(description="How long an answer stands.")]
    retention_days: Annotated[int, Meta(description="Days for which a partner may keep the answer.")]
    explanation: Annotated[Explanation, Meta(description="What each outcome means.")]
    pia_ref: Annotated[str, Meta(description="The impact assessment behind it.")]


class VersionRef(Struct, frozen=True):
    """One version of one scenario."""

    id: Id
    version: Version
    digest: Digest


class DryRunCase(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One set of synthetic facts."""

    id: Annotated[Slug, Meta(description="Your name for it.", examples=["six-months"])]
    facts: Annotated[tuple[Fact, ...], Meta(max_length=50, description="The facts; none is allowed too.")]


class DryRunRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to evaluate. Everything may be left out: then the published cases of the latest version are."""

    version: Annotated[int | None, Meta(description="The version to evaluate; the latest by default.")] = None
    compare_to: Annotated[int | None, Meta(description="Another version to evaluate beside it.")] = None
    cases: Annotated[
        Annotated[tuple[DryRunCase, ...], Meta(max_length=50)] | None,
        Meta(description="The facts; the scenario's published cases by default."),
    ] = None


class DryRunAnswer(Struct, frozen=True):
    """What a partner with every privilege would learn under a full consent."""

    outcome: Annotated[Outcome, Meta(description="The overall outcome.")]
    criteria: Annotated[tuple[CriterionOutcome, ...], Meta(description="The outcomes of criteria that may be told.")]
    disclosed: Annotated[
        dict[str, dict[str, Value]], Meta(description="The fields that may be told, by criterion, when it is met.")
    ]


class DryRunResult(Struct, frozen=True):
    """One case's answer, and the other version's when two are compared."""

    id: Annotated[Slug, Meta(description="The case.")]
    answer: Annotated[DryRunAnswer, Meta(description="What the version says.")]
    compared: Annotated[DryRunAnswer | None, Meta(description="What the version compared with says.")]
    differs: Annotated[bool | None, Meta(description="Whether the two say different things.")]


class DryRun(Struct, frozen=True):
    """The answers for synthetic facts. Nothing is stored and no subject is involved."""

    scenario: Annotated[VersionRef, Meta(description="The version that was evaluated.")]
    compared_to: Annotated[VersionRef | None, Meta(description="The version compared with.")]
    results: Annotated[list[DryRunResult], Meta(description="The answers, in the order of the cases.")]


class OutcomeView(Struct, frozen=True):
    """One outcome, in neutral words."""

    code: Annotated[Outcome, Meta(description="The stable code.")]
    title: Annotated[Text, Meta(description="What to call it.")]
    meaning: Annotated[Text, Meta(description="What it says, and what it doesn't.")]


OUTCOMES = (
    OutcomeView(
        Outcome.MET,
        Text("满足", "Met"),
        Text("现有记录佐证了公布的条件", "The records at hand evidence the published criteria"),
    ),
    OutcomeView(
        Outcome.NOT_EVIDENCED,
        Text("未见佐证", "Not evidenced"),
        Text(
            "现有记录未能佐证公布的条件，原因可以是没有记录、已过期、未提供或有异议；不代表任何负面情况",
            "The records at hand don't evidence the published criteria: there may be none, or they are too old, "
            "withheld or disputed. It says nothing negative",
        ),
    ),
)


def summary(scenario: Scenario) -> ScenarioSummary:
    return ScenarioSummary(
        id=scenario.id,
        version=scenario.version,
        digest=scenario.digest,
        name=scenario.name,
        incentive=scenario.incentive,
        partner_kinds=scenario.partner_kinds,
        subject_kind=scenario.subject_kind,
        consent=_consent(scenario),
    )


def whole(scenario: Scenario) -> ScenarioView:
    return ScenarioView(
        id=scenario.id,
        version=scenario.version,
        digest=scenario.digest,
        name=scenario.name,
        incentive=scenario.incentive,
        partner_kinds=scenario.partner_kinds,
        subject_kind=scenario.subject_kind,
        consent=_consent(scenario),
        published=scenario.published,
        purpose=scenario.purpose,
        legal_basis=scenario.legal_basis,
        fallback=scenario.fallback,
        criteria=[_criterion(criterion) for criterion in scenario.criteria],
        rule=scenario.rule,
        units=sorted(scenario.units),
        answer_ttl=scenario.answer_ttl,
        retention_days=scenario.retention_days,
        explanation=scenario.explanation,
        pia_ref=scenario.pia_ref,
    )


def ref(scenario: Scenario) -> VersionRef:
    return VersionRef(scenario.id, scenario.version, scenario.digest)


def dry_run_answer(disclosure: Disclosure) -> DryRunAnswer:
    return DryRunAnswer(disclosure.outcome, disclosure.criteria, disclosure.disclosed)


def _consent(scenario: Scenario) -> ConsentTerms:
    return ConsentTerms(scenario.consent.form, scenario.consent.max_days, scenario.consent.uses)


def _criterion(criterion: Criterion) -> CriterionView:
    return CriterionView(
        id=criterion.id,
        record=criterion.record,
        test=criterion.test,
        max_age=criterion.max_age,
        necessity=criterion.necessity,
        disclose=criterion.disclose,
        fields=criterion.fields,
        bands=criterion.bands,
        disclosure_reason=criterion.disclosure_reason,
    )
