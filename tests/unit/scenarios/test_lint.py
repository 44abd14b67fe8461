"""What a scenario may not be: each refusal names the file and the line."""

import pytest

from tests.unit.scenarios.conftest import Workshop
from xinyi.catalogue.files import FileError, Problem
from xinyi.scenarios.registry import Registry


def problems(workshop: Workshop) -> list[Problem]:
    with pytest.raises(FileError) as caught:
        Registry.load(workshop.catalogue(), workshop.folder)
    return caught.value.problems


def test_the_sample_is_accepted(workshop: Workshop) -> None:
    registry = Registry.load(workshop.catalogue(), workshop.folder)
    assert registry.get("sample").units == {"tax-rating", "tax-rating.grade", "tax-on-time", "tax-on-time.months"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        # what must be there
        ("id: sample\n", "", "missing required field `id`"),
        ("fallback: {zh: 备选, en: Fallback}", "fallback: {zh: 备选}", "missing required field `en`"),
        ("fallback: {zh: 备选, en: Fallback}", 'fallback: {zh: 备选, en: " "}', "the text is empty"),
        (
            "    necessity: {zh: 必要, en: Needed}\n    disclose: band",
            "    disclose: band",
            "missing required field `nec",
        ),
        ("  not_evidenced: {zh: 未见佐证, en: Not evidenced}\n", "", "missing required field `not_evidenced`"),
        ("pia_ref: PIA-1", 'pia_ref: ""', "length >= 1"),
        # what may not be there
        ("retention_days: 30", "retention_days: 30\nweight: 3", "unknown field `weight`"),
        ("    max_age: 62d", "    max_age: 62d\n    score: 5", "unknown field `score`"),
        ("en: Purpose", "en: Rank the shop's customers", "a score, weight or rank"),
        ("zh: 目的", "zh: 给企业打分", "a score, weight or rank"),
        ("en: Incentive", "en: For good companies", "doesn't judge"),
        ("zh: 激励", "zh: 失信企业除外", "doesn't judge"),
        # consent
        ("max_days: 90", "max_days: 366", "<= 365"),
        ("form: separate", "form: bundled", "bundled"),
        ("answer_ttl: 24h", "answer_ttl: 32d", "at most 31d"),
        ("answer_ttl: 24h", "answer_ttl: 24", "expected `duration`"),
        # criteria against the data list
        ("record: TAX_RATING", "record: TAX_SCORECARD", "there is no record type"),
        ("record: REDLIST", "record: VOLUNTEER", "isn't recorded about a legal_person"),
        ("record: REDLIST", "record: PROPERTY", "PROPERTY is sensitive: it needs written consent"),
        ("grade: {in: [A, B]}", "grade: {in: [A, C]}", "`grade` is never 'C'"),
        ("grade: {in: [A, B]}", "grade: {at_least: 1}", "ask `at_least` of a number"),
        ("count: {at_least: 2}", "count: {in: [2]}", "ask `at_least` of a number"),
        ("count: {at_least: 2}", "count: {at_least: 0}", "from 1 to"),
        ("count: {at_least: 2}", "worth: {at_least: 2}", "PATENT has no field `worth`"),
        ("count: {at_least: 2}", "count: {at_least: 2, present: true}", "exactly one of"),
        ("count: {at_least: 2}", "count: {}", "exactly one of"),
        ("count: {at_least: 2}", "count: {at_most: 2}", "unknown field `at_most`"),
        ("max_age: 184d", "max_age: 36h", "whole days"),
        # disclosure
        ("disclose: value", "disclose: everything", "everything"),
        ("fields: [grade]", "fields: [year]", "the test doesn't use `year`"),
        ("fields: [grade]", "fields: [grade, grade]", "twice"),
        ("    fields: [grade]\n", "", "`fields` go with"),
        (
            "    disclosure_reason: {zh: 理由, en: Reason}\n  - id: tax-on-time",
            "  - id: tax-on-time",
            "disclosure_reason",
        ),
        ("bands: {months: [12, 24]}", "bands: {months: [6, 24]}", "must be what the test asks for"),
        ("bands: {months: [12, 24]}", "bands: {months: [12, 36, 24]}", "must rise"),
        ("bands: {months: [12, 24]}", "bands: {months: [12, 900]}", "never more than 600"),
        # the rule
        ("any_of: [incentive-list, patents]", "any_of: [incentive-list]", "no choice"),
        (
            "any_of: [incentive-list, patents]",
            "any_of: [incentive-list, honours]",
            "uses `patents`|criterion `patents`",
        ),
        ("any_of: [incentive-list, patents]", "any_of: [patents, tax-rating, incentive-list]", "exactly once"),
        ("  all_of:\n", "  none_of:\n", "unknown field `none_of`"),
        ("id: patents", "id: tax-rating", "stands here twice"),
        ("id: patents", "id: Patents!", "matching regex"),
    ],
)
def test_a_scenario_that_breaks_the_rules_is_refused(workshop: Workshop, old: str, new: str, said: str) -> None:
    line = workshop.change(workshop.scenario, old, new)
    found = problems(workshop)
    assert any(alternative in found[0].message for alternative in said.split("|")), found[0].message
    assert found[0].path == workshop.scenario
    assert _near(workshop, found[0].line, line, new), f"said line {found[0].line}, changed line {line}"


def _near(workshop: Workshop, said: int, changed: int, new: str) -> bool:
    """The line itself, or the head of the member that lacks or contradicts something."""
    if said == changed + new.count("\n"):
        return True
    lines = workshop.scenario.read_text("utf-8").splitlines()
    head = lines[said - 1]
    depth = len(head) - len(head.lstrip())
    between = lines[said : changed - 1]
    return said <= changed and all(len(line) - len(line.lstrip()) >= depth for line in between)


def test_a_record_type_that_is_off_cannot_be_used(workshop: Workshop) -> None:
    workshop.change(workshop.folder / "record-types" / "redlist.yaml", "fields:", "enabled: false\nfields:")
    (found,) = problems(workshop)
    assert "REDLIST is off" in found.message


def test_an_any_of_never_tells_which(workshop: Workshop) -> None:
    line = workshop.change(
        workshop.scenario,
        "    record: REDLIST",
        "    record: REDLIST\n    disclose: outcome\n    disclosure_reason: {zh: 理由, en: Reason}",
    )
    (found,) = problems(workshop)
    assert found.message.startswith("an `any_of` never tells which")
    assert found.line == line + 1


def test_a_bank_needs_a_persons_written_consent(workshop: Workshop) -> None:
    text = workshop.scenario.read_text("utf-8")
    text = text.replace("[shop]", "[bank]").replace("legal_person", "natural_person").replace("PATENT", "MKT_RENTAL")
    text = text.replace("TAX_RATING", "PRO_QUAL").replace("grade: {in: [A, B]}", "valid_to: {present: true}")
    text = text.replace("[grade]", "[valid_to]")
    workshop.scenario.write_text(text, "utf-8")
    found = problems(workshop)
    assert "a bank needs a person's written consent" in found[0].message
    assert found[0].line == text[: text.index("consent:")].count("\n") + 1


def test_free_text_is_never_tested_and_so_never_disclosed(workshop: Workshop) -> None:
    workshop.change(workshop.scenario, "record: PATENT", "record: LICENCE")
    workshop.change(workshop.scenario, "count: {at_least: 2}", "number: {present: true}")
    assert "free text" in problems(workshop)[0].message


def test_the_file_is_named_as_its_scenario(workshop: Workshop) -> None:
    workshop.scenario.rename(workshop.scenario.with_name("other.yaml"))
    workshop.cases.rename(workshop.cases.with_name("other.cases.yaml"))
    assert [found.message for found in problems(workshop)] == ["the file's name says `other`"]


def test_a_scenario_without_cases_is_refused(workshop: Workshop) -> None:
    workshop.cases.unlink()
    assert "sample.cases.yaml is missing" in problems(workshop)[0].message


def test_cases_without_a_scenario_are_refused(workshop: Workshop) -> None:
    workshop.cases.with_name("stray.cases.yaml").write_text(workshop.cases.read_text("utf-8"), "utf-8")
    (found,) = problems(workshop)
    assert (found.path.name, found.message) == ("stray.cases.yaml", "has no scenario beside it")


def test_an_empty_folder_is_no_application_list(workshop: Workshop) -> None:
    workshop.scenario.unlink()
    workshop.cases.unlink()
    assert "holds no scenarios" in problems(workshop)[0].message


def test_a_wrong_behaviour_list_is_refused(workshop: Workshop) -> None:
    path = workshop.folder / "behaviours.yaml"
    line = workshop.change(path, "allowed: false", "allowed: perhaps")
    (found,) = problems(workshop)
    assert (found.path, found.line) == (path, line)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("scenario: sample", "scenario: other", "the scenario beside it is `sample`"),
        ("version: 2", "version: 1", "the scenario beside it has version 2"),
        ("id: stale", "id: short", "the case `short` stands here twice"),
        ("covers: stale", "covers: other", "no case covers `stale`"),
        ("covers: just_short", "covers: other", "no case covers `just_short`"),
        ("outcome: met", "outcome: not_evidenced", "case `met`: the outcome is met"),
        ("months: 12-23", "months: 12", "case `met`: disclosed is"),
        ("criteria: {tax-rating: met, tax-on-time: met}", "criteria: {tax-rating: met}", "case `met`: the criteria"),
        ("grade: B}}", "grade: C}}", "not_in_list"),
        ("as_of: -1d", "as_of: +1d", "in_future"),
        ("record: TAX_RATING", "record: NOPE", "there is no record type|there is no such record type"),
        ("{count: 2}}", "{count: 2}, suppressed: true}", "can't be suppressed"),
        ("observed: -401d", "observed: yesterday", "matching regex"),
    ],
)
def test_a_case_that_is_not_borne_out_is_refused(workshop: Workshop, old: str, new: str, said: str) -> None:
    workshop.change(workshop.cases, old, new)
    found = problems(workshop)
    assert any(alternative in found[0].message for alternative in said.split("|")), found[0].message
    assert found[0].path == workshop.cases
