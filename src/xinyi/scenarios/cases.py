"""Cases: facts in, expected answer out. They are tests, documentation and examples at once."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from ..catalogue.service import Catalogue
from ..kernel.text import Text
from .criteria import evaluate
from .disclosure import Disclosure, minimise
from .facts import Fact, FactError
from .model import Outcome, Scenario, Slug, Value


class Covers(StrEnum):
    """What a case is an example of."""

    MET = "met"
    JUST_SHORT = "just_short"
    """One short of a threshold, or just outside a list."""
    STALE = "stale"
    NO_RECORD = "no_record"
    WITHHELD = "withheld"
    DISPUTED = "disputed"
    SUPPRESSED = "suppressed"
    OTHER = "other"


class Case(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One example of a scenario. The defaults expect an answer that discloses nothing beside the overall outcome."""

    id: Slug
    covers: Covers
    title: Text
    facts: Annotated[tuple[Fact, ...], Meta(max_length=50)]
    outcome: Outcome
    criteria: dict[str, Outcome] = {}
    disclosed: dict[str, dict[str, Value]] = {}


class CaseFile(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The cases of one version of one scenario."""

    scenario: Slug
    version: Annotated[int, Meta(ge=1)]
    cases: Annotated[tuple[Case, ...], Meta(min_length=1)]


def answer(scenario: Scenario, facts: Iterable[Fact], catalogue: Catalogue, at: datetime) -> Disclosure:
    """What a partner with every privilege would learn, under a full consent, about a subject with these facts.

    Raises :class:`~.facts.FactError` for the first fact that its record type refuses.
    """
    records = []
    for index, fact in enumerate(facts):
        try:
            records.append(fact.to_record(catalogue, at, f"fact-{index}"))
        except FactError as error:
            error.fact = index
            raise
    return minimise(scenario, evaluate(scenario, records, at), scenario.units, scenario.units)


def difference(case: Case, got: Disclosure) -> tuple[str, str] | None:
    """The first member of ``case`` that ``got`` doesn't bear out, with the sentence that says so; or nothing."""
    if got.outcome is not case.outcome:
        return "outcome", f"the outcome is {got.outcome.value}"
    criteria = {criterion.id: criterion.outcome for criterion in got.criteria}
    if criteria != case.criteria:
        shown = ", ".join(f"{criterion}: {outcome.value}" for criterion, outcome in criteria.items())
        return "criteria", f"the criteria disclosed are {{{shown}}}"
    if got.disclosed != case.disclosed:
        return "disclosed", f"disclosed is {got.disclosed}"
    return None
