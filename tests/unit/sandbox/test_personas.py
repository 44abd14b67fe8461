"""Personas are made up, recognisably, and what they are for shows in their records."""

from datetime import UTC, date, datetime

from xinyi.catalogue.service import Catalogue
from xinyi.sandbox import personas, sources
from xinyi.sandbox.personas import Persona
from xinyi.subjects.identifiers import parse

TODAY = date(2026, 11, 2)
NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)


def test_every_persona_is_a_valid_and_synthetic_subject() -> None:
    for persona in personas.personas():
        assert parse(persona.identifier.value, NOW) == persona.identifier
        assert persona.identifier.is_synthetic
        assert persona.name.zh.startswith("示例")
        assert persona.name.en.startswith("Sample ")


def test_no_two_personas_are_the_same() -> None:
    everyone = personas.personas()
    assert len({persona.id for persona in everyone}) == len(everyone)
    assert len({persona.identifier for persona in everyone}) == len(everyone)


def test_a_company_is_represented_by_a_person() -> None:
    by_id: dict[str, Persona] = {persona.id: persona for persona in personas.personas()}
    for persona in by_id.values():
        if persona.kind == "legal_person":
            assert persona.represented_by is not None
            assert by_id[persona.represented_by].kind == "natural_person"


def test_every_row_is_as_the_data_list_says() -> None:
    catalogue = Catalogue.load()
    for today in (TODAY, date(2026, 1, 1), date(2027, 4, 20), date(2028, 2, 29)):
        for row in personas.rows(today):
            record_type = catalogue.get(row.record_type)
            record_type.validate(row.fields, observed_on=date.fromisoformat(row.observed_at))
            assert record_type.enabled
            assert date.fromisoformat(row.observed_at) <= today
            assert row.record_type in sources.SOURCE_OF


def test_the_rows_of_one_day_are_always_the_same() -> None:
    assert list(personas.rows(TODAY)) == list(personas.rows(TODAY))


def test_rows_of_another_day_speak_of_the_same_facts() -> None:
    first, later = (
        {(row.source_ref, row.subject, row.record_type) for row in personas.rows(day)}
        for day in (TODAY, date(2027, 3, 1))
    )
    assert first == later


def test_the_sources_supply_the_enabled_data_list_once_each() -> None:
    supplied = [code for source in sources.SOURCES for code in source.record_types]
    assert sorted(supplied) == [record_type.code for record_type in Catalogue.load() if record_type.enabled]
