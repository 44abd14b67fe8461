"""The scenarios in memory: every version, loaded once at start-up, all of it or nothing."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from ..catalogue.files import FileError, Problem
from ..catalogue.location import scenarios_dir
from ..catalogue.service import Catalogue
from ..kernel.errors import Code, XinyiError
from .behaviours import Behaviour
from .cases import Case
from .load import load_behaviours, load_folder
from .model import ConsentForm, Disclose, Scenario, Uses


class Registry:
    """Scenarios by id and version."""

    def __init__(
        self,
        scenarios: Iterable[Scenario],
        cases: Mapping[tuple[str, int], tuple[Case, ...]] | None = None,
        behaviours: tuple[Behaviour, ...] = (),
    ) -> None:
        self._versions: dict[str, dict[int, Scenario]] = {}
        for scenario in sorted(scenarios, key=lambda each: (each.id, each.version)):
            self._versions.setdefault(scenario.id, {})[scenario.version] = scenario
        self._published = {
            scenario_id: published[-1]
            for scenario_id, versions in self._versions.items()
            if (published := [scenario for scenario in versions.values() if scenario.published])
        }
        self._cases = dict(cases or {})
        self.behaviours = behaviours

    @classmethod
    def load(cls, catalogue: Catalogue, folder: Path | None = None) -> "Registry":
        """Reads and lints ``folder/incentives`` and ``folder/behaviours.yaml`` (default: the set of the product).

        Raises :class:`FileError` with every problem of every file.
        """
        folder = folder or scenarios_dir()
        directory = folder / "incentives"
        files = load_folder(directory, catalogue)
        problems = [problem for file in files for problem in file.problems]
        behaviours: tuple[Behaviour, ...] = ()
        try:
            behaviours = load_behaviours(folder / "behaviours.yaml")
        except FileError as error:
            problems += error.problems
        if not files:
            problems.append(Problem(directory, 1, "holds no scenarios"))
        if problems:
            raise FileError(sorted(problems))
        scenarios = [file.scenario for file in files if file.scenario is not None]
        cases = {(file.scenario.id, file.scenario.version): file.cases for file in files if file.scenario is not None}
        return cls(scenarios, cases, behaviours)

    def all(self) -> list[Scenario]:
        """The latest published version of each scenario, in the order of their ids."""
        return list(self._published.values())

    def versions(self) -> list[Scenario]:
        """Every version of every scenario, published or not any more."""
        return [scenario for versions in self._versions.values() for scenario in versions.values()]

    def get(self, scenario_id: str) -> Scenario:
        """The latest published version. Raises ``XinyiError(NOT_FOUND)``."""
        scenario = self._published.get(scenario_id)
        if scenario is None:
            raise XinyiError(Code.NOT_FOUND, "there is no such scenario")
        return scenario

    def version(self, scenario_id: str, version: int) -> Scenario:
        """This very version, published or not any more. Raises ``XinyiError(NOT_FOUND)``."""
        try:
            return self._versions[scenario_id][version]
        except KeyError:
            raise XinyiError(Code.NOT_FOUND, "there is no such version of a scenario") from None

    def find(self, scenario_id: str, version: int | None) -> Scenario | None:
        """This very version, if its file is there."""
        return None if version is None else self._versions.get(scenario_id, {}).get(version)

    def consented(self, scenario_id: str, version: int, digest: str) -> Scenario | None:
        """The version that a consent was given to; ``None`` when it is gone, or was edited in place since."""
        found = self.find(scenario_id, version)
        return found if found is not None and found.digest == digest else None

    def cases(self, scenario: Scenario) -> tuple[Case, ...]:
        """The published cases of this version."""
        return self._cases.get((scenario.id, scenario.version), ())

    def is_outdated(self, consented: Scenario, latest: Scenario | None = None) -> bool:
        """Whether a consent to ``consented`` has to be asked for again (PIPL 14).

        That is so when its version was taken out of use, or when ``latest`` (default: the latest published version)
        widens what was consented to.
        """
        latest = latest or self._published.get(consented.id)
        if latest is consented:
            return not consented.published
        return latest is None or not consented.published or widens(consented, latest)


def widens(old: Scenario, new: Scenario) -> bool:
    """Whether ``new`` asks for, shows or keeps anything that a consent to ``old`` doesn't cover."""
    return (
        not new.units <= old.units
        or not new.record_types <= old.record_types
        or new.subject_kind is not old.subject_kind
        or new.purpose != old.purpose
        or new.legal_basis != old.legal_basis
        or new.retention_days > old.retention_days
        or new.answer_ttl > old.answer_ttl
        or new.consent.max_days > old.consent.max_days
        or (new.consent.uses is Uses.RECURRING and old.consent.uses is Uses.ONCE)
        or (new.consent.form is ConsentForm.WRITTEN and old.consent.form is not ConsentForm.WRITTEN)
        or any(_shows_more(old, new, criterion.id) for criterion in new.criteria if criterion.units)
    )


def _shows_more(old: Scenario, new: Scenario, criterion_id: str) -> bool:
    """Whether a unit that both have means more now: another fact, a value instead of a band, or finer bands.

    What is told of a criterion is told of its very test: that more, or fewer, months are met is another fact.
    """
    before, after = old.criterion(criterion_id), new.criterion(criterion_id)
    if (after.record, after.test, after.max_age) != (before.record, before.test, before.max_age):
        return True
    if after.disclose is Disclose.VALUE and before.disclose is not Disclose.VALUE:
        return True
    return any(not set(bounds) <= set(before.bands.get(field, bounds)) for field, bounds in after.bands.items())
