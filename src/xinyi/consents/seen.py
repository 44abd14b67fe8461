"""A preview: what the partner would see, as data and in plain words. Pure."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from ..catalogue.service import Catalogue
from ..kernel.text import Language, Text
from ..scenarios.disclosure import CriterionOutcome
from ..scenarios.model import Outcome, Scenario, Value
from .notice import Words


class PreviewedScenario(Struct, frozen=True):
    """The version of a scenario that a check would evaluate now."""

    id: Annotated[str, Meta(description="The scenario's id.", examples=["bike-deposit"])]
    version: Annotated[int, Meta(ge=1, description="Its version.", examples=[1])]
    digest: Annotated[str, Meta(description="SHA-256 over its canonical form.", examples=["sha-256:8Vq3…"])]


class Preview(Struct, frozen=True, kw_only=True):
    """What a check at this moment would tell the partner of the subject, member for member."""

    scenario: PreviewedScenario
    subject: Annotated[str, Meta(description="The subject, as this partner alone knows them.")] | None
    outcome: Annotated[Outcome, Meta(description="Whether the scenario's rule is met.")]
    criteria: Annotated[tuple[CriterionOutcome, ...], Meta(description="The outcomes the scenario discloses.")]
    disclosed: Annotated[
        dict[str, dict[str, Value]],
        Meta(description="By criterion and field: the values and bands that are disclosed."),
    ]
    as_of: Annotated[datetime, Meta(tz=True, description="When the records were looked at.")]
    valid_until: Annotated[
        datetime, Meta(tz=True, description="`as_of` plus the scenario's answer_ttl, within the consent.")
    ]


class SeenFact(Struct, frozen=True):
    """One thing that the partner would be told beside the overall result."""

    name: str
    told: str


class Seen(Struct, frozen=True):
    """Everything that the partner would see, and the very data."""

    outcome: Outcome
    result: str
    meaning: str
    facts: tuple[SeenFact, ...]
    data: str


def seen(preview: Preview, scenario: Scenario, catalogue: Catalogue, language: Language) -> Seen:
    """``preview``, which is one of ``scenario``, in words."""
    words = Words(scenario, scenario.units, catalogue, language)
    facts: list[SeenFact] = []
    for told in preview.criteria:
        criterion = scenario.criterion(told.id)
        name = words.fact_name(criterion)
        facts.append(SeenFact(name, RESULTS[told.outcome].of(language)))
        for field, value in preview.disclosed.get(criterion.id, {}).items():
            label = words.label(criterion, field).of(language)
            facts.append(SeenFact(f"{name} · {label}", words.told_value(criterion, field, value)))
    explanation = scenario.explanation
    meaning = explanation.met if preview.outcome is Outcome.MET else explanation.not_evidenced
    return Seen(
        outcome=preview.outcome,
        result=RESULTS[preview.outcome].of(language),
        meaning=meaning.of(language),
        facts=tuple(facts),
        data=msgspec.json.format(msgspec.json.encode(preview), indent=2).decode(),
    )


RESULTS: Final = {Outcome.MET: Text("满足", "Met"), Outcome.NOT_EVIDENCED: Text("未见佐证", "Not evidenced")}
