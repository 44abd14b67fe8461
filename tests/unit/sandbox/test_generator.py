"""Made-up subjects are the same for the same seed, fit the data list, and can't be taken for real ones."""

from collections import Counter
from datetime import UTC, date, datetime
from itertools import islice

import pytest

from xinyi.catalogue.service import Catalogue
from xinyi.records.rows import Row
from xinyi.sandbox import identities
from xinyi.sandbox.generator import generate
from xinyi.sandbox.sources import SOURCE_OF
from xinyi.subjects.identifiers import parse
from xinyi.subjects.model import SubjectKind

TODAY = date(2026, 11, 2)
NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return list(generate(3000, 7, TODAY))


def test_the_same_seed_gives_the_same_rows(rows: list[Row]) -> None:
    assert list(generate(3000, 7, TODAY)) == rows
    assert list(islice(generate(10**9, 7, TODAY), 500)) == rows[:500]
    assert list(generate(300, 8, TODAY))[:50] != rows[:50]


def test_every_row_is_as_the_data_list_says(rows: list[Row]) -> None:
    catalogue = Catalogue.load()
    for row in rows:
        record_type = catalogue.get(row.record_type)
        assert record_type.enabled
        observed_on = date.fromisoformat(row.observed_at)
        assert observed_on <= TODAY
        record_type.validate(row.fields, observed_on=observed_on)
        assert parse(row.subject, NOW).kind in record_type.subject_kinds
    assert {row.record_type for row in rows} >= set(SOURCE_OF) - {"BRAVERY"}


def test_every_subject_is_valid_and_synthetic(rows: list[Row]) -> None:
    for subject in {row.subject for row in rows}:
        assert parse(subject, NOW).is_synthetic


def test_no_two_facts_share_a_source_ref(rows: list[Row]) -> None:
    assert len({row.source_ref for row in rows}) == len(rows)


def test_who_they_are_doesnt_depend_on_the_day(rows: list[Row]) -> None:
    later = {(row.source_ref, row.subject) for row in generate(300, 7, date(2027, 8, 15))}
    assert later & {(row.source_ref, row.subject) for row in rows}
    assert {subject for _, subject in later} <= {row.subject for row in rows}


def test_any_number_of_subjects_differ() -> None:
    people = {identities.person(1 + n % 9999, date(1990, 1, 1), n // 9999) for n in range(20_000)}
    companies = {identities.company(1 + n % 9999, n // 9999) for n in range(20_000)}
    assert len(people) == len(companies) == 20_000


def test_facts_are_spread_as_in_a_city(rows: list[Row]) -> None:
    subjects = {row.subject: parse(row.subject, NOW).kind for row in rows}
    companies = sum(kind is SubjectKind.LEGAL_PERSON for kind in subjects.values())
    assert 0.15 < companies / len(subjects) < 0.28
    grades = Counter(row.fields["grade"] for row in rows if row.record_type == "TAX_RATING")
    assert grades["B"] > grades["M"] > grades["A"] > 0
    months = {kind: sorted(_months(rows, kind)) for kind in ("SOCINS_PAID", "HPF_PAID")}
    assert months["SOCINS_PAID"][0] < 6 < 12 < months["SOCINS_PAID"][len(months["SOCINS_PAID"]) // 2]
    assert len(months["HPF_PAID"]) < len(months["SOCINS_PAID"])


def test_whoever_pays_one_utility_mostly_pays_the_others(rows: list[Row]) -> None:
    holders = {kind: {row.subject for row in rows if row.record_type == kind} for kind in ("UTIL_ELEC", "UTIL_WATER")}
    everyone = {row.subject for row in rows}
    both = len(holders["UTIL_ELEC"] & holders["UTIL_WATER"]) / len(holders["UTIL_ELEC"])
    assert both > 0.75 > len(holders["UTIL_WATER"]) / len(everyone)


def _months(rows: list[Row], record_type: str) -> list[int]:
    return [int(str(row.fields["months"])) for row in rows if row.record_type == record_type]
