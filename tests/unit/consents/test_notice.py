"""What a subject is told (PIPL 17, L06): complete for every scenario, in both languages, and pinned word for word."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from xinyi.catalogue.service import Catalogue
from xinyi.consents.model import ANSWER_WITHIN, Consent
from xinyi.consents.notice import Group, Notice, Operator, notice
from xinyi.kernel.text import Language, Text
from xinyi.partners.model import Partner, Standing
from xinyi.scenarios.model import Disclose, Scenario
from xinyi.scenarios.registry import Registry

NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
SNAPSHOTS = Path(__file__).parent / "notices"
CATALOGUE = Catalogue.load()
REGISTRY = Registry.load(CATALOGUE)
OPERATOR = Operator(Text("示例信用中心", "Sample Credit Centre"), "rights@credit-centre.example")


def told(scenario: Scenario, language: Language, units: frozenset[str] | None = None) -> Notice:
    partner = Partner(
        "prt_sample",
        Text("示例机构", "Sample Partner"),
        scenario.partner_kinds[0],
        "privacy@partner.example",
        Standing.ACTIVE,
        NOW,
    )
    consent = Consent(
        id="cns_sample",
        partner_id=partner.id,
        client_id="cli_sample",
        scenario_id=scenario.id,
        scenario_version=scenario.version,
        scenario_digest=scenario.digest,
        units=tuple(sorted(scenario.units if units is None else units)),
        form=scenario.consent.form,
        uses=scenario.consent.uses,
        created_at=NOW,
        request_expires_at=NOW + ANSWER_WITHIN,
    )
    return notice(scenario, partner, None, consent, CATALOGUE, OPERATOR, language)


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("scenario", REGISTRY.all(), ids=lambda scenario: scenario.id)
def test_every_scenario_tells_everything_that_the_law_asks_for(scenario: Scenario, language: Language) -> None:
    it = told(scenario, language)
    assert it.partner == Text("示例机构", "Sample Partner").of(language)
    assert it.partner_contact == "privacy@partner.example"
    assert it.incentive == scenario.incentive.of(language)
    assert it.purpose == scenario.purpose.of(language)
    assert it.fallback == scenario.fallback.of(language)
    assert {fact.id for fact in it.facts.facts()} == {criterion.id for criterion in scenario.criteria}
    for fact in it.facts.facts():
        assert all((fact.name, fact.necessity, fact.test, fact.source, fact.telling))
        assert (fact.told is Disclose.NONE) == (fact.telling_reason is None)
    assert str(scenario.retention_days) in it.retention
    assert all((it.duration, it.uses, it.form, it.scope, it.withdrawal, it.rights, it.contact, it.revealed, it.hidden))


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("scenario_id", ["microloan-prescreen", "home-rental-deposit"])
def test_the_notice_is_pinned_word_for_word(scenario_id: str, language: Language) -> None:
    """L06. A change here changes what subjects agree to: look at it, then store the new text."""
    it = replace(told(REGISTRY.version(scenario_id, 1), language), scenario_digest="sha-256:…")
    pinned = SNAPSHOTS / f"{scenario_id}.{language.value}.json"
    assert msgspec.json.format(msgspec.json.encode(it), indent=2).decode() + "\n" == pinned.read_text("utf-8")


def test_a_fact_is_said_to_be_told_only_as_far_as_the_consent_goes() -> None:
    scenario = REGISTRY.version("microloan-prescreen", 1)
    by_units = {
        frozenset(): Disclose.NONE,
        frozenset({"tax-rating.grade"}): Disclose.NONE,
        frozenset({"tax-rating"}): Disclose.OUTCOME,
        frozenset({"tax-rating", "tax-rating.grade"}): Disclose.VALUE,
    }
    for units, expected in by_units.items():
        facts = {fact.id: fact for fact in told(scenario, Language.EN, units).facts.facts()}
        assert facts["tax-rating"].told is expected


def test_with_nothing_but_the_overall_result_it_says_that_no_single_fact_is_told() -> None:
    it = told(REGISTRY.version("home-rental-deposit", 1), Language.EN)
    assert it.revealed == ("The overall result: met, or not evidenced",)
    assert it.hidden[0] == "Which of the facts are met and which aren't"


def test_the_digest_changes_with_every_word() -> None:
    it = told(REGISTRY.version("home-rental-deposit", 1), Language.ZH)
    assert replace(it).digest == it.digest
    assert replace(it, fallback=it.fallback + "。").digest != it.digest
    assert told(REGISTRY.version("home-rental-deposit", 1), Language.EN).digest != it.digest


def test_the_notice_does_not_depend_on_when_it_is_shown() -> None:
    scenario = REGISTRY.version("home-rental-deposit", 1)
    assert str(NOW.year) not in msgspec.json.encode(told(scenario, Language.EN)).decode()
    assert timedelta(days=scenario.consent.max_days) == timedelta(days=7)
    assert told(scenario, Language.EN).duration == "7 days"


def test_a_reason_that_all_facts_share_is_given_once() -> None:
    home = told(REGISTRY.version("home-rental-deposit", 1), Language.EN).facts
    contributions, bills = (item for item in home.items if isinstance(item, Group))
    assert (home.necessity, contributions.necessity is None) == (None, False)
    assert bills.necessity is not None
    assert {fact.necessity for fact in bills.facts()} == {bills.necessity}


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("scenario", REGISTRY.all(), ids=lambda scenario: scenario.id)
def test_why_a_fact_is_needed_is_its_own_reason_and_no_repeat_of_the_rule(
    scenario: Scenario, language: Language
) -> None:
    """PIPL 17. That any one is enough stands once, in the heading."""
    for fact in told(scenario, language).facts.facts():
        assert not re.search(r"任[意何]?一项|任一|\benough\b|any one", fact.necessity), (fact.id, fact.necessity)
