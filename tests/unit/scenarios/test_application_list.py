"""The 17 scenarios that come with the product, held against the published list."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from xinyi.catalogue.model import Sensitivity
from xinyi.catalogue.service import Catalogue
from xinyi.scenarios.cases import Case, Covers, answer, difference
from xinyi.scenarios.criteria import evaluate
from xinyi.scenarios.facts import Fact
from xinyi.scenarios.model import Outcome, Scenario, Uses
from xinyi.scenarios.registry import Registry
from xinyi.subjects.model import SubjectKind

CATALOGUE = Catalogue.load()
REGISTRY = Registry.load(CATALOGUE)
MOMENTS = (datetime(2026, 11, 2, 8, 0, tzinfo=UTC), datetime(2028, 2, 29, 15, 59, 59, tzinfo=UTC))


def covering(*kinds: Covers) -> list[Any]:
    return [
        pytest.param(scenario, case, id=f"{scenario.id}-{case.id}")
        for scenario in REGISTRY.all()
        for case in REGISTRY.cases(scenario)
        if case.covers in kinds
    ]


ANY_ONE = {
    "SOCINS_PAID 3",
    "HPF_PAID 3",
    "UTIL_WATER 6",
    "UTIL_ELEC 6",
    "UTIL_GAS 6",
    "REDLIST",
    "HONOUR",
    "VOLUNTEER",
    "DONATION 1",
    "BRAVERY",
    "MKT_RENTAL 3",
}
L, N = "legal_person", "natural_person"
LIST = {
    # subject, consent (form, days, uses), criteria, what may be disclosed beside the overall outcome
    "microloan-prescreen": (
        L,
        "written 90 recurring",
        {"TAX_RATING A|B|M", "TAX_ONTIME 12", "SOCINS_PAID 6"},
        {"tax-rating", "tax-rating.grade", "tax-on-time", "social-insurance"},
    ),
    "personal-loan": (N, "written 30 once", {"HPF_PAID 12", "SOCINS_PAID 12"}, set()),
    "home-rental-deposit": (
        N,
        "separate 7 once",
        {"HPF_PAID 6", "SOCINS_PAID 6", "UTIL_WATER 6", "UTIL_ELEC 6", "UTIL_GAS 6"},
        set(),
    ),
    "office-rental": (L, "separate 180 recurring", {"TAX_RATING A", "REDLIST"}, set()),
    "car-rental-deposit": (N, "separate 1 once", {"REDLIST", "SOCINS_PAID 12"}, set()),
    "bike-deposit": (N, "separate 365 recurring", ANY_ONE, set()),
    "power-bank-deposit": (N, "separate 365 recurring", ANY_ONE, set()),
    "hotel-deposit": (N, "separate 7 once", {"REDLIST", "HPF_PAID 6"}, set()),
    "scenic-ticket": (N, "separate 1 once", {"HONOUR", "VOLUNTEER", "BRAVERY"}, set()),
    "library-lending": (N, "separate 365 recurring", ANY_ONE, set()),
    "hospital-pay-later": (N, "separate 30 once", {"SOCINS_PAID 6", "REDLIST"}, set()),
    "parking-pay-later": (N, "separate 180 recurring", ANY_ONE, set()),
    "approval-fast-track": (
        L,
        "separate 30 once",
        {"COMMITMENT present", "TAX_RATING A"},
        {"commitment-kept", "tax-rating"},
    ),
    "bid-bond": (
        L,
        "separate 90 recurring",
        {"TAX_RATING A", "CONTRACT_PERF 1"},
        {"tax-rating", "tax-rating.grade", "contracts-performed"},
    ),
    "tech-park": (
        L,
        "separate 180 recurring",
        {"TECH_CERT high-tech|specialised|little-giant|tech-sme|innovative-sme", "PATENT 1"},
        {"tech-certificate", "tech-certificate.kind", "patents"},
    ),
    "shop-pay-later": (N, "separate 90 recurring", ANY_ONE, set()),
    "trade-finance": (
        L,
        "written 90 recurring",
        {"AEO advanced|certified", "TAX_RATING A|B"},
        {"customs-aeo", "customs-aeo.level", "tax-rating", "tax-rating.grade"},
    ),
}


def asked(scenario: Scenario) -> set[str]:
    result = set()
    for criterion in scenario.criteria:
        words = [criterion.record]
        for condition in criterion.test.values():
            if condition.at_least is not None:
                words.append(str(condition.at_least))
            elif condition.in_:
                words.append("|".join(map(str, condition.in_)))
            else:
                words.append("present")
        result.add(" ".join(words))
    return result


def test_every_scenario_is_as_published() -> None:
    assert {
        scenario.id: (
            scenario.subject_kind.value,
            f"{scenario.consent.form.value} {scenario.consent.max_days} {scenario.consent.uses.value}",
            asked(scenario),
            set(scenario.units),
        )
        for scenario in REGISTRY.all()
    } == LIST


@pytest.mark.parametrize(("scenario", "case"), covering(*Covers))
def test_every_case_is_borne_out_at_any_moment(scenario: Scenario, case: Case) -> None:
    for moment in MOMENTS:
        assert difference(case, answer(scenario, case.facts, CATALOGUE, moment)) is None


@pytest.mark.parametrize(("scenario", "case"), covering(Covers.WITHHELD, Covers.DISPUTED, Covers.SUPPRESSED))
def test_what_the_subject_keeps_back_would_have_been_enough(scenario: Scenario, case: Case) -> None:
    moment = MOMENTS[0]
    plain = [Fact(record=fact.record, fields=fact.fields, observed=fact.observed) for fact in case.facts]
    assert case.outcome is Outcome.NOT_EVIDENCED
    assert answer(scenario, plain, CATALOGUE, moment).outcome is Outcome.MET


@pytest.mark.parametrize(("scenario", "case"), covering(Covers.STALE))
def test_what_is_stale_was_enough_the_day_before(scenario: Scenario, case: Case) -> None:
    moment = MOMENTS[0]
    held = [fact.to_record(CATALOGUE, moment, "") for fact in case.facts]
    assert evaluate(scenario, held, moment).outcome is Outcome.NOT_EVIDENCED
    assert evaluate(scenario, held, moment - timedelta(days=1)).outcome is Outcome.MET


@pytest.mark.parametrize(("scenario", "case"), covering(Covers.JUST_SHORT))
def test_what_is_just_short_lacks_one_step(scenario: Scenario, case: Case) -> None:
    """One more month or time, the grade A, or one more record of the kind that is missing."""
    more = [replace(fact, fields=_one_more(fact)) for fact in case.facts]
    full = next(each for each in REGISTRY.cases(scenario) if each.covers is Covers.MET)
    present = {fact.record for fact in case.facts}
    missing = [fact for fact in full.facts if fact.record not in present] if scenario.rule.all_of else []
    assert case.outcome is Outcome.NOT_EVIDENCED
    assert len(missing) <= 1
    assert answer(scenario, [*more, *missing], CATALOGUE, MOMENTS[0]).outcome is Outcome.MET


def _one_more(fact: Fact) -> dict[str, str | int | bool]:
    return {
        name: value + 1 if isinstance(value, int) and name != "year" else "A" if name == "grade" else value
        for name, value in fact.fields.items()
    }


def test_what_is_sensitive_is_used_nowhere() -> None:
    for scenario in REGISTRY.all():
        for code in scenario.record_types:
            assert CATALOGUE.get(code).sensitivity is not Sensitivity.SENSITIVE


def test_banks_have_written_consent_and_once_only_consents_are_short() -> None:
    for scenario in REGISTRY.all():
        if "bank" in scenario.partner_kinds:
            assert scenario.consent.form.value == "written"
        if scenario.consent.uses is Uses.ONCE:
            assert scenario.consent.max_days <= 30
        assert scenario.answer_ttl <= timedelta(hours=24)


def test_people_and_companies_both_have_scenarios() -> None:
    assert {scenario.subject_kind for scenario in REGISTRY.all()} == set(SubjectKind)


def test_names_in_chinese_carry_the_brand() -> None:
    for scenario in REGISTRY.all():
        assert scenario.name.zh.startswith("信易") or scenario.name.zh == "关贸贷"
