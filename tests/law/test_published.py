"""What a scenario has to say before anybody can use it, and who can be a subject."""

import shutil
from datetime import UTC, date, datetime, timedelta
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.world import World
from xinyi.catalogue.files import FileError
from xinyi.catalogue.location import scenarios_dir
from xinyi.catalogue.service import Catalogue
from xinyi.kernel.clock import CHINA_TIME
from xinyi.kernel.text import Language
from xinyi.records.model import Record
from xinyi.sandbox import identities
from xinyi.scenarios.criteria import evaluate
from xinyi.scenarios.disclosure import minimise
from xinyi.scenarios.model import Scenario
from xinyi.scenarios.registry import Registry
from xinyi.subjects import identifiers
from xinyi.subjects.model import IdentifierProblem, IdentifierRefused, SubjectKind

CATALOGUE = Catalogue.load()
SCENARIOS = Registry.load(CATALOGUE).all()
NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)


def load(folder: Path, scenario: str, change: Any) -> Registry:
    """The set with one scenario alone, changed."""
    shutil.copytree(scenarios_dir() / "record-types", folder / "record-types")
    shutil.copy(scenarios_dir() / "behaviours.yaml", folder)
    (folder / "incentives").mkdir()
    said = yaml.safe_load((scenarios_dir() / "incentives" / f"{scenario}.yaml").read_text("utf-8"))
    change(said)
    (folder / "incentives" / f"{scenario}.yaml").write_text(yaml.safe_dump(said, allow_unicode=True), "utf-8")
    shutil.copy(scenarios_dir() / "incentives" / f"{scenario}.cases.yaml", folder / "incentives")
    return Registry.load(Catalogue.load(folder), folder)


def test_l01_whatever_the_consent_and_the_client_allow_the_answer_lies_within_both():
    scenario = next(each for each in SCENARIOS if each.id == "microloan-prescreen")
    facts: dict[str, dict[str, str | int | bool]] = {
        "TAX_RATING": {"year": 2025, "grade": "A"},
        "TAX_ONTIME": {"months": 24, "as_of": "2026-10-31"},
        "SOCINS_PAID": {"months": 24, "as_of": "2026-10-31"},
    }
    records = [Record(code, "s", code, NOW - timedelta(days=1), None, fields) for code, fields in facts.items()]
    evaluation = evaluate(scenario, records, NOW)
    units = sorted(scenario.units)
    subsets = list(chain.from_iterable(combinations(units, size) for size in range(len(units) + 1)))
    for consented in subsets:
        for granted in subsets:
            told = minimise(scenario, evaluation, consented, granted)
            shown = {each.id for each in told.criteria}
            shown |= {f"{criterion}.{field}" for criterion, fields in told.disclosed.items() for field in fields}
            assert shown <= set(consented) & set(granted) & scenario.units


def test_l05_a_scenario_without_a_fallback_is_not_loaded(tmp_path: Path):
    with pytest.raises(FileError, match="fallback"):
        load(tmp_path, "bike-deposit", lambda said: said.pop("fallback"))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.id)
def test_l08_each_outcome_is_explained_in_both_languages(scenario: Scenario):
    for outcome in (scenario.explanation.met, scenario.explanation.not_evidenced):
        assert outcome.zh
        assert outcome.en


async def test_l08_the_notice_names_whom_to_ask_for_a_review(world: World):
    settings = world.services.settings
    client, person = await world.client("bike-deposit"), await world.subject()
    asked = await world.asked(client, "bike-deposit")
    _, notice = await world.services.consents.show(
        asked.id, subject_id=person.id, kind=person.kind, language=Language.EN
    )
    assert settings.operator_contact in notice.contact


def test_l09_a_sensitive_fact_needs_written_consent(tmp_path: Path):
    def sensitive(said: dict[str, Any]) -> None:
        said["criteria"][0] |= {"record": "PROPERTY", "test": {}}

    with pytest.raises(FileError, match="written"):
        load(tmp_path, "bike-deposit", sensitive)


def test_l09_each_fact_needs_a_written_necessity(tmp_path: Path):
    with pytest.raises(FileError, match="necessity"):
        load(tmp_path, "bike-deposit", lambda said: said["criteria"][0].pop("necessity"))


def test_l13_a_scenario_without_an_impact_assessment_is_not_loaded(tmp_path: Path):
    with pytest.raises(FileError, match="pia_ref"):
        load(tmp_path, "bike-deposit", lambda said: said.pop("pia_ref"))


def test_l24_a_subject_is_eighteen_to_the_day():
    born = date(2008, 11, 3)
    identifier = identities.person(1, born, 7).value
    birthday = datetime(2026, 11, 3, tzinfo=CHINA_TIME)
    assert identifiers.parse(identifier, birthday, SubjectKind.NATURAL_PERSON).value == identifier
    with pytest.raises(IdentifierRefused) as refused:
        identifiers.parse(identifier, birthday - timedelta(seconds=1), SubjectKind.NATURAL_PERSON)
    assert refused.value.problem is IdentifierProblem.UNDER_AGE
