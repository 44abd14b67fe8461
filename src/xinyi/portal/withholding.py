"""What a subject may keep from which scenario, for a form to offer. Pure."""

from collections.abc import Collection

from msgspec import Struct

from ..catalogue.service import Catalogue
from ..scenarios.registry import Registry
from .model import MyWithholding, Named


class Choice(Struct, frozen=True):
    """One scenario, and the record types that it looks at and that aren't kept from it yet."""

    scenario: Named
    record_types: tuple[Named, ...]


def choices(scenarios: Registry, catalogue: Catalogue, kind: str, withheld: Collection[MyWithholding]) -> list[Choice]:
    """The scenarios for this kind of subject. Whether there are such records plays no part."""
    kept = {(each.scenario.id, each.record_type.id) for each in withheld}
    found = [
        Choice(
            Named(scenario.id, scenario.name),
            tuple(
                Named(code, catalogue.get(code).name)
                for code in sorted(scenario.record_types)
                if (scenario.id, code) not in kept
            ),
        )
        for scenario in scenarios.all()
        if scenario.subject_kind == kind
    ]
    return [choice for choice in found if choice.record_types]
