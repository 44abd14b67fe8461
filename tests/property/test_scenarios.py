"""What holds for any scenario and any records."""

from collections.abc import Iterable
from datetime import timedelta
from itertools import combinations

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.property.strategies import AT, TELLING, current_records, many, records, rivals, scenarios, units_of
from xinyi.catalogue.service import Catalogue
from xinyi.records.model import Record
from xinyi.scenarios.criteria import Evaluation, evaluate
from xinyi.scenarios.disclosure import Disclosure, minimise
from xinyi.scenarios.facts import Fact
from xinyi.scenarios.model import Condition, Disclose, Outcome, Scenario
from xinyi.scenarios.registry import Registry

CATALOGUE = Catalogue.load()
REGISTRY = Registry.load(CATALOGUE)
SHIPPED = REGISTRY.all()


def answer(scenario: Scenario, held: Iterable[Record]) -> Disclosure:
    """All that anyone could ever learn."""
    return minimise(scenario, evaluate(scenario, held, AT), scenario.units, scenario.units)


def told(disclosure: Disclosure) -> set[str]:
    """The units that an answer holds."""
    outcomes = {criterion.id for criterion in disclosure.criteria}
    return outcomes | {f"{criterion}.{field}" for criterion, fields in disclosure.disclosed.items() for field in fields}


def subsets(units: Iterable[str]) -> list[frozenset[str]]:
    ordered = sorted(units)
    return [frozenset(some) for size in range(len(ordered) + 1) for some in combinations(ordered, size)]


def encode(value: Evaluation | Disclosure) -> bytes:
    return msgspec.json.encode(value)


@given(st.data(), scenarios(), many)
def test_the_answer_is_a_subset_of_scenario_consent_and_client(
    data: st.DataObject, scenario: Scenario, held: list[Record]
) -> None:
    consent, client = data.draw(units_of(scenario)), data.draw(units_of(scenario))
    disclosure = minimise(scenario, evaluate(scenario, held, AT), consent, client)
    assert told(disclosure) <= scenario.units & consent & client


@given(st.data(), scenarios(), many)
def test_fewer_units_take_away_and_change_nothing_else(
    data: st.DataObject, scenario: Scenario, held: list[Record]
) -> None:
    evaluation = evaluate(scenario, held, AT)
    units = data.draw(units_of(scenario))
    some, everything = minimise(scenario, evaluation, units, scenario.units), answer(scenario, held)
    assert some == minimise(scenario, evaluation, scenario.units, units)
    assert some.outcome is everything.outcome
    assert set(some.criteria) <= set(everything.criteria)
    for criterion, fields in some.disclosed.items():
        assert fields.items() <= everything.disclosed[criterion].items()


@pytest.mark.parametrize("scenario", SHIPPED, ids=lambda scenario: scenario.id)
def test_the_published_scenarios_never_tell_more_than_every_pair_of_subsets_allows(scenario: Scenario) -> None:
    for case in REGISTRY.cases(scenario):
        evaluation = evaluate(scenario, [fact.to_record(CATALOGUE, AT, "") for fact in case.facts], AT)
        for consent in subsets(scenario.units):
            for client in subsets(scenario.units):
                disclosure = minimise(scenario, evaluation, consent, client)
                assert told(disclosure) <= scenario.units & consent & client
                assert disclosure.disclosed.keys() <= told(disclosure), (
                    "a field that is told tells its criterion's outcome"
                )


@given(scenarios(), many)
def test_values_are_told_only_when_the_overall_outcome_is_met(scenario: Scenario, held: list[Record]) -> None:
    disclosure = answer(scenario, held)
    if disclosure.outcome is not Outcome.MET:
        assert disclosure.disclosed == {}
    for criterion in disclosure.criteria:
        assert criterion.outcome is Outcome.MET or criterion.id not in disclosure.disclosed


@given(scenarios(), many, many)
def test_another_record_never_undoes_an_outcome(scenario: Scenario, held: list[Record], more: list[Record]) -> None:
    before, after = evaluate(scenario, held, AT), evaluate(scenario, held + more, AT)
    assert before.outcome is Outcome.NOT_EVIDENCED or after.outcome is Outcome.MET
    for criterion, evaluation in before.criteria.items():
        assert evaluation.outcome is Outcome.NOT_EVIDENCED or after.criteria[criterion].outcome is Outcome.MET


@given(scenarios(), many, records(types=("T4",)) | current_records(types=("T4",)))
def test_an_unrelated_record_changes_nothing(scenario: Scenario, held: list[Record], other: Record) -> None:
    assert encode(evaluate(scenario, [*held, other], AT)) == encode(evaluate(scenario, held, AT))


@given(st.data(), scenarios() | st.just(TELLING), many | rivals)
def test_the_order_of_records_changes_nothing(data: st.DataObject, scenario: Scenario, held: list[Record]) -> None:
    shuffled = data.draw(st.permutations(held))
    assert encode(evaluate(scenario, shuffled, AT)) == encode(evaluate(scenario, held, AT))
    assert encode(evaluate(scenario, held + shuffled, AT)) == encode(evaluate(scenario, held, AT))


def absent(record: Record, scenario: Scenario) -> dict[str, list[Record]]:
    """Every way in which a fact may fail to be there; for the partner they are all one."""
    oldest = max(
        (criterion.max_age for criterion in scenario.criteria if criterion.record == record.record_type),
        default=timedelta(days=1),
    )
    second = timedelta(seconds=1)
    return {
        "below the threshold": [replace(record, fields={"n": 0, "g": "D"})],
        "stale": [replace(record, observed_at=AT - oldest - second)],
        "withheld": [replace(record, withheld=True)],
        "suppressed": [replace(record, suppressed=True)],
        "disputed": [replace(record, disputed=True)],
        "ended": [replace(record, valid_until=AT)],
        "not yet observed": [replace(record, observed_at=AT + second)],
        "without the field": [replace(record, fields={})],
    }


@given(scenarios(), many, current_records())
def test_every_way_of_not_being_evidenced_is_byte_identical(
    scenario: Scenario, held: list[Record], record: Record
) -> None:
    assume(all(criterion.test for criterion in scenario.criteria if criterion.record == record.record_type))
    without = encode(answer(scenario, held))
    for way, instead in absent(record, scenario).items():
        assert encode(answer(scenario, held + instead)) == without, way


@pytest.mark.parametrize("scenario", SHIPPED, ids=lambda scenario: scenario.id)
def test_unknown_subjects_and_all_near_misses_get_the_same_bytes(scenario: Scenario) -> None:
    """With one fact that would be enough, or nearly, kept from counting in each way; the rest not there."""
    unknown = encode(answer(scenario, []))
    for case in REGISTRY.cases(scenario):
        for fact in case.facts:
            record = fact.to_record(CATALOGUE, AT, "")
            tested = any(each.test for each in scenario.criteria if each.record == record.record_type)
            for way, instead in absent(record, scenario).items():
                if not tested and way in {"below the threshold", "without the field"}:
                    continue  # being on record is all that is asked
                assert encode(answer(scenario, instead)) == unknown, (case.id, way)


@given(scenarios(), many, many)
def test_with_disclose_none_an_answer_is_its_outcome_and_nothing_else(
    scenario: Scenario, one: list[Record], other: list[Record]
) -> None:
    silent = replace(
        scenario,
        criteria=tuple(
            replace(criterion, disclose=Disclose.NONE, fields=(), bands={}, disclosure_reason=None)
            for criterion in scenario.criteria
        ),
    )
    first, second = answer(silent, one), answer(silent, other)
    assert (encode(first) == encode(second)) is (first.outcome is second.outcome)


def branches(scenario: Scenario) -> list[tuple[Fact, ...]]:
    """The facts of the cases in which the scenario is met, each by another branch."""
    return [case.facts for case in REGISTRY.cases(scenario) if case.outcome is Outcome.MET]


@pytest.mark.parametrize(
    "scenario", [scenario for scenario in SHIPPED if scenario.rule.any_of], ids=lambda scenario: scenario.id
)
def test_nothing_tells_which_branch_of_an_any_of_was_met(scenario: Scenario) -> None:
    ways = branches(scenario)
    assert len(ways) >= len(scenario.criteria)
    pairs = [(*one, *other) for one in ways for other in ways]
    answers = {
        encode(answer(scenario, [fact.to_record(CATALOGUE, AT, "") for fact in facts])) for facts in ways + pairs
    }
    assert len(answers) == 1


weird = st.dictionaries(
    st.sampled_from(("n", "g", "x")),
    st.sampled_from(("", "A", "1", "\x00", "信")) | st.booleans() | st.integers(-(2**53), 2**53),
    max_size=3,
)


@given(scenarios() | st.just(TELLING), st.lists(st.tuples(current_records(), weird), max_size=6))
def test_there_is_an_answer_for_every_input(scenario: Scenario, held: list[tuple[Record, dict[str, object]]]) -> None:
    strange = [replace(record, fields=fields) for record, fields in held]
    assert answer(scenario, strange).outcome in Outcome


@given(scenarios() | st.just(TELLING), many | rivals)
def test_what_is_told_is_what_the_newest_satisfying_record_says(scenario: Scenario, held: list[Record]) -> None:
    evaluation = evaluate(scenario, held, AT)
    for criterion in scenario.criteria:
        satisfying = [
            record for record in held if evaluate(scenario, [record], AT).criteria[criterion.id].outcome is Outcome.MET
        ]
        got = evaluation.criteria[criterion.id]
        assert (got.outcome is Outcome.MET) is bool(satisfying)
        if satisfying and criterion.disclosed_fields:
            newest = max(record.observed_at for record in satisfying)
            candidates = [
                {field: record.fields[field] for field in criterion.disclosed_fields}
                for record in satisfying
                if record.observed_at == newest
            ]
            assert got.fields in candidates


@given(st.sets(st.integers(1, 20), min_size=1, max_size=6), st.integers(0, 20))
def test_a_band_holds_the_value_that_it_stands_for(bounds: set[int], above: int) -> None:
    least, *_ = ordered = sorted(bounds)
    value = least + above
    [criterion] = TELLING.criteria
    banded = replace(
        criterion,
        test={"n": Condition(at_least=least)},
        disclose=Disclose.BAND,
        fields=(),
        bands={"n": tuple(ordered)},
    )
    record = Record(
        record_type="T1", source="one", source_ref="a", observed_at=AT, valid_until=None, fields={"n": value}
    )
    label = str(answer(replace(TELLING, criteria=(banded,)), [record]).disclosed["c1"]["n"])
    low, _, high = label.removesuffix("+").partition("-")
    following = [bound for bound in ordered if bound > int(low)]
    assert int(low) in bounds
    assert int(low) <= value
    assert label == (f"{low}-{high}" if following else f"{low}+")
    if following:
        assert value <= int(high) == following[0] - 1
