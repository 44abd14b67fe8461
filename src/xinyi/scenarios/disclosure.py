"""What a partner learns: the scenario's disclosure ∩ the consent ∩ the client's privileges (PIPL 6). Pure and total."""

from collections.abc import Collection, Sequence
from datetime import datetime

from msgspec import Struct

from ..records.model import Record
from .criteria import Evaluation, evaluate
from .model import Outcome, Scenario, Value


class CriterionOutcome(Struct, frozen=True):
    """The outcome of one criterion that may be told."""

    id: str
    outcome: Outcome


class Disclosure(Struct, frozen=True):
    """Everything that leaves the platform about one evaluation."""

    outcome: Outcome
    criteria: tuple[CriterionOutcome, ...]
    disclosed: dict[str, dict[str, Value]]
    """By criterion and field: the value, or the label of its band. Only when the overall outcome is ``met``."""


def disclose(
    scenario: Scenario,
    records: Sequence[Record],
    at: datetime,
    consent_units: Collection[str],
    client_units: Collection[str] | None,
) -> Disclosure:
    """What these records disclose at the moment ``at``: by a check as by the subject's own preview of it.

    ``client_units``: ``None`` stands for all that the scenario tells.
    """
    granted = scenario.units if client_units is None else client_units
    return minimise(scenario, evaluate(scenario, records, at), consent_units, granted)


def minimise(
    scenario: Scenario, evaluation: Evaluation, consent_units: Collection[str], client_units: Collection[str]
) -> Disclosure:
    """The part of ``evaluation`` that the scenario, the consent and the client all allow.

    A unit is ``criterion`` (its outcome) or ``criterion.field``. A field needs its criterion's unit as well, since a
    field that is shown says that the criterion is met.
    """
    allowed = scenario.units & frozenset(consent_units) & frozenset(client_units)
    told = [criterion for criterion in scenario.criteria if criterion.id in allowed]
    disclosed: dict[str, dict[str, Value]] = {}
    if evaluation.outcome is Outcome.MET:
        for criterion in told:
            known = evaluation.criteria[criterion.id].fields
            fields = {
                field: _banded(value, criterion.bands[field]) if field in criterion.bands else value
                for field, value in known.items()
                if f"{criterion.id}.{field}" in allowed
            }
            if fields:
                disclosed[criterion.id] = fields
    return Disclosure(
        evaluation.outcome,
        tuple(CriterionOutcome(criterion.id, evaluation.criteria[criterion.id].outcome) for criterion in told),
        disclosed,
    )


def _banded(value: Value, bounds: tuple[int, ...]) -> str:
    """The band as ``6-11`` or, for the last, ``24+``. A value is never below the first bound: the test asks for it."""
    reached = [position for position, bound in enumerate(bounds) if int(value) >= bound][-1]
    if reached == len(bounds) - 1:
        return f"{bounds[reached]}+"
    return f"{bounds[reached]}-{bounds[reached + 1] - 1}"
