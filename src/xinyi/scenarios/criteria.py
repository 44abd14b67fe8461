"""Whether published criteria are met. Pure and total: no clock, no I/O, an answer for every input.

A criterion is met when *some* current record satisfies it: another record can therefore never undo an outcome.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from ..kernel.canonical import canonical_json
from ..records.model import Record
from .model import Criterion, Outcome, Rule, Scenario, Value


class CriterionEvaluation(Struct, frozen=True):
    """One criterion's outcome, with the fields that it may disclose, of the record that was chosen."""

    outcome: Outcome
    fields: dict[str, Value]


_NOT_EVIDENCED: Final = CriterionEvaluation(Outcome.NOT_EVIDENCED, {})
_MET: Final = CriterionEvaluation(Outcome.MET, {})


class Evaluation(Struct, frozen=True):
    """The overall outcome and each criterion's: everything that is known, before it is minimised."""

    outcome: Outcome
    criteria: dict[str, CriterionEvaluation]


def evaluate(scenario: Scenario, records: Iterable[Record], at: datetime) -> Evaluation:
    """The outcome of ``scenario`` for a subject with these records, in any order, at the moment ``at``."""
    current: dict[str, list[Record]] = {}
    for record in records:
        if _is_current(record, at):
            current.setdefault(record.record_type, []).append(record)
    criteria = {
        criterion.id: _evaluate(criterion, current[criterion.record], at)
        if criterion.record in current
        else _NOT_EVIDENCED
        for criterion in scenario.criteria
    }
    return Evaluation(_apply(scenario.rule, criteria), criteria)


def _is_current(record: Record, at: datetime) -> bool:
    return (
        record.observed_at <= at
        and (record.valid_until is None or record.valid_until > at)
        and not (record.disputed or record.suppressed or record.withheld)
    )


def _evaluate(criterion: Criterion, current: Sequence[Record], at: datetime) -> CriterionEvaluation:
    """``current``: the records of the criterion's type that count at all."""
    satisfying = [record for record in current if _satisfies(record, criterion, at)]
    if not satisfying:
        return _NOT_EVIDENCED
    if not criterion.disclosed_fields:
        return _MET
    chosen = max(satisfying, key=_precedence)
    return CriterionEvaluation(Outcome.MET, {field: chosen.fields[field] for field in criterion.disclosed_fields})


def _satisfies(record: Record, criterion: Criterion, at: datetime) -> bool:
    if at - record.observed_at > criterion.max_age:
        return False
    for field, condition in criterion.test.items():  # noqa: SIM110 (a generator costs as much as the test itself)
        if not condition.holds(record.fields.get(field)):
            return False
    return True


def _precedence(record: Record) -> tuple[datetime, bytes]:
    """The newest record speaks; among equals the canonical order decides, so that the order given never does."""
    return record.observed_at, canonical_json([record.fields, record.source, record.source_ref])


def _apply(rule: Rule, criteria: Mapping[str, CriterionEvaluation]) -> Outcome:
    outcomes = [criteria[item].outcome if isinstance(item, str) else _apply(item, criteria) for item in rule.items]
    enough = all if rule.all_of else any
    return Outcome.MET if enough(outcome is Outcome.MET for outcome in outcomes) else Outcome.NOT_EVIDENCED
