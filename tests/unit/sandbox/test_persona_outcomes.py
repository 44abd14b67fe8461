"""Each persona shows one kind of outcome under the scenarios that come with the product."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from xinyi.catalogue.service import Catalogue
from xinyi.kernel.clock import CHINA_TIME
from xinyi.records.model import Record
from xinyi.sandbox import personas
from xinyi.scenarios.criteria import evaluate
from xinyi.scenarios.registry import Registry

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
CATALOGUE = Catalogue.load()
SCENARIOS = Registry.load(CATALOGUE)


def records_of(persona_id: str, now: datetime) -> Iterator[Record]:
    identifier = next(each.identifier for each in personas.personas() if each.id == persona_id)
    for row in personas.rows(now.astimezone(CHINA_TIME).date()):
        if row.subject == identifier.value:
            record_type = CATALOGUE.get(row.record_type)
            fields = record_type.validate(row.fields)
            yield Record(
                record_type=row.record_type,
                source="sample",
                source_ref=row.source_ref,
                observed_at=datetime.combine(date.fromisoformat(row.observed_at), datetime.min.time(), CHINA_TIME),
                valid_until=record_type.ends_at(fields),
                fields=fields,
            )


def met(persona_id: str, now: datetime = NOW) -> set[str]:
    """The scenarios for the persona's kind of subject that are met."""
    persona = next(each for each in personas.personas() if each.id == persona_id)
    found = list(records_of(persona_id, now))
    return {
        scenario.id
        for scenario in SCENARIOS.all()
        if scenario.subject_kind is persona.kind and evaluate(scenario, found, now).outcome == "met"
    }


FOR_COMPANIES = {each.id for each in SCENARIOS.all() if each.subject_kind == "legal_person"}
FOR_PEOPLE = {each.id for each in SCENARIOS.all() if each.subject_kind == "natural_person"}
ANY_ONE = {"bike-deposit", "power-bank-deposit", "library-lending", "parking-pay-later", "shop-pay-later"}


@pytest.mark.parametrize(
    ("persona_id", "expected"),
    [
        ("company-a", FOR_COMPANIES),
        ("company-b", set()),
        ("company-c", set()),
        ("company-d", set()),
        ("person-a", FOR_PEOPLE),
        ("person-b", set()),
        ("person-c", set()),
        ("person-d", set()),
        ("person-e", ANY_ONE | {"scenic-ticket"}),
        ("person-f", ANY_ONE),
    ],
)
def test_a_persona_shows_its_outcome(persona_id: str, expected: set[str]) -> None:
    assert met(persona_id) == expected


def test_company_b_lacks_social_insurance_alone() -> None:
    evaluation = evaluate(SCENARIOS.get("microloan-prescreen"), list(records_of("company-b", NOW)), NOW)
    assert {name: str(each.outcome) for name, each in evaluation.criteria.items()} == {
        "tax-rating": "met",
        "tax-on-time": "met",
        "social-insurance": "not_evidenced",
    }


@pytest.mark.parametrize("day", [date(2026, 1, 1), date(2026, 4, 19), date(2026, 4, 20), date(2028, 2, 29)])
def test_the_outcomes_are_the_same_on_any_day(day: date) -> None:
    now = datetime(day.year, day.month, day.day, 4, tzinfo=UTC)
    assert met("company-a", now) == FOR_COMPANIES
    assert met("person-a", now) == FOR_PEOPLE
    assert met("company-d", now) == met("person-c", now) == set()
