"""Any scenario, any records: of three record types ``T1``–``T3`` with a number ``n`` and a listed value ``g``."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from xinyi.kernel.text import Text
from xinyi.records.model import Record
from xinyi.scenarios.model import (
    Condition,
    ConsentForm,
    ConsentTerms,
    Criterion,
    Disclose,
    Explanation,
    Rule,
    Scenario,
    Uses,
)
from xinyi.subjects.model import SubjectKind

AT = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
TYPES = ("T1", "T2", "T3")
TEXT = Text("示例", "sample")

numbers = st.integers(0, 6)
letters = st.sampled_from("ABCD")


@st.composite
def criteria(draw: st.DrawFn, criterion_id: str) -> Criterion:
    test = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "n": st.integers(1, 6).map(lambda least: Condition(at_least=least)),
                "g": st.lists(st.sampled_from("ABC"), min_size=1, unique=True).map(
                    lambda values: Condition(in_=tuple(values))
                ),
            },
        )
    )
    allowed = [Disclose.NONE, Disclose.OUTCOME]
    allowed += [Disclose.VALUE] if test else []
    allowed += [Disclose.BAND] if "n" in test else []
    disclose = draw(st.sampled_from(allowed))
    more: dict[str, Any] = {} if disclose is Disclose.NONE else {"disclosure_reason": TEXT}
    if disclose is Disclose.VALUE:
        more["fields"] = tuple(draw(st.lists(st.sampled_from(sorted(test)), min_size=1, unique=True)))
    if disclose is Disclose.BAND:
        least = test["n"].at_least or 0
        more["bands"] = {"n": (least, *sorted(draw(st.sets(st.integers(least + 1, least + 4)))))}
    return Criterion(
        id=criterion_id,
        record=draw(st.sampled_from(TYPES)),
        test=test,
        max_age=timedelta(days=draw(st.integers(1, 400))),
        necessity=TEXT,
        disclose=disclose,
        **more,
    )


@st.composite
def rules(draw: st.DrawFn, ids: list[str]) -> Rule:
    """A rule that uses each id once, nested as deep as there are ids."""
    if len(ids) == 1:
        return Rule(all_of=(ids[0],))
    items: list[str | Rule] = []
    rest = list(ids)
    while rest:
        taken = draw(st.integers(1, max(1, len(rest) - (not items))))
        group, rest = rest[:taken], rest[taken:]
        items.append(group[0] if len(group) == 1 else draw(rules(group)))
    return Rule(any_of=tuple(items)) if draw(st.booleans()) else Rule(all_of=tuple(items))


def scenario_of(criteria: Iterable[Criterion], rule: Rule) -> Scenario:
    return Scenario(
        id="sample",
        version=1,
        name=TEXT,
        partner_kinds=("bank",),
        subject_kind=SubjectKind.LEGAL_PERSON,
        purpose=TEXT,
        legal_basis=TEXT,
        incentive=TEXT,
        fallback=TEXT,
        criteria=tuple(criteria),
        rule=rule,
        answer_ttl=timedelta(hours=24),
        consent=ConsentTerms(form=ConsentForm.WRITTEN, max_days=90, uses=Uses.RECURRING),
        retention_days=90,
        explanation=Explanation(met=TEXT, not_evidenced=TEXT),
        pia_ref="PIA-1",
    )


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    ids = [f"c{number}" for number in range(1, draw(st.integers(1, 5)) + 1)]
    return scenario_of([draw(criteria(criterion_id)) for criterion_id in ids], draw(rules(ids)))


TELLING = scenario_of(
    [
        Criterion(
            id="c1",
            record="T1",
            test={"n": Condition(at_least=1), "g": Condition(in_=("A", "B", "C"))},
            max_age=timedelta(days=90),
            necessity=TEXT,
            disclose=Disclose.VALUE,
            fields=("n", "g"),
            disclosure_reason=TEXT,
        )
    ],
    Rule(all_of=("c1",)),
)
"""Which record is chosen shows in what it tells."""


@st.composite
def records(draw: st.DrawFn, types: tuple[str, ...] = TYPES) -> Record:
    days = st.integers(-3, 500).map(lambda days: AT - timedelta(days=days))
    return Record(
        record_type=draw(st.sampled_from(types)),
        source=draw(st.sampled_from(("one", "two"))),
        source_ref=draw(st.sampled_from("abcdef")),
        observed_at=draw(days),
        valid_until=draw(st.none() | days),
        fields=draw(st.fixed_dictionaries({}, optional={"n": numbers, "g": letters})),
        disputed=draw(st.booleans()),
        suppressed=draw(st.booleans()),
        withheld=draw(st.booleans()),
    )


@st.composite
def current_records(draw: st.DrawFn, types: tuple[str, ...] = TYPES) -> Record:
    """A record that counts: fresh, valid, and neither disputed, suppressed nor withheld."""
    return Record(
        record_type=draw(st.sampled_from(types)),
        source=draw(st.sampled_from(("one", "two"))),
        source_ref=draw(st.sampled_from("abcdef")),
        observed_at=AT - timedelta(seconds=draw(st.integers(0, 86_400))),
        valid_until=None,
        fields={"n": draw(numbers), "g": draw(letters)},
    )


rivals = st.lists(
    st.builds(
        Record,
        record_type=st.just("T1"),
        source=st.just("one"),
        source_ref=st.just("a"),
        observed_at=st.sampled_from((AT, AT - timedelta(hours=1))),
        valid_until=st.none(),
        fields=st.fixed_dictionaries({"n": numbers, "g": letters}),
    ),
    min_size=2,
    max_size=5,
)
"""Records among which one has to be chosen."""

many = st.lists(records() | current_records(), max_size=8)


@st.composite
def units_of(draw: st.DrawFn, scenario: Scenario) -> frozenset[str]:
    """Some of what the scenario may disclose, and some that it may not."""
    strange = {"c1", "c2", "c9", "c1.n", "c1.g", "c2.x", ""}
    return frozenset(draw(st.sets(st.sampled_from(sorted(scenario.units | strange)))))
