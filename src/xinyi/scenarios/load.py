"""Reads scenario files with their cases: ``NAME.yaml`` and ``NAME.cases.yaml``; older versions are ``NAME.vN.yaml``."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ..catalogue.files import FileError, Problem, Source, read
from ..catalogue.model import EnumField
from ..catalogue.service import Catalogue
from . import lint
from .behaviours import Behaviour, BehaviourFile
from .cases import Case, CaseFile, Covers, answer, difference
from .facts import FactError
from .model import Criterion, Scenario

_OLDER: Final = re.compile(r"^(?P<id>.+)\.v(?P<version>[1-9][0-9]*)$")
_ALWAYS: Final = (Covers.MET, Covers.STALE, Covers.NO_RECORD, Covers.WITHHELD, Covers.DISPUTED)
_MOMENT: Final = datetime(2026, 6, 15, 4, 0, tzinfo=UTC)
"""Cases are relative to the moment of evaluation, so that any moment serves."""


class ScenarioFile(Struct, frozen=True):
    """What was found in one file and the cases beside it. ``scenario`` is ``None`` when it can't be read."""

    path: Path
    scenario: Scenario | None
    cases: tuple[Case, ...]
    problems: tuple[Problem, ...]


def load_folder(directory: Path, catalogue: Catalogue) -> list[ScenarioFile]:
    """Every scenario file in ``directory``, read and linted, in the order of their names."""
    files = [
        load_file(path, catalogue) for path in sorted(directory.glob("*.yaml")) if not path.stem.endswith(".cases")
    ]
    files += [
        ScenarioFile(path, None, (), (Problem(path, 1, "has no scenario beside it"),))
        for path in sorted(directory.glob("*.cases.yaml"))
        if not path.with_name(path.name.replace(".cases.yaml", ".yaml")).exists()
    ]
    return [replace(file, problems=file.problems + _misplaced(file, files)) for file in files]


def load_file(path: Path, catalogue: Catalogue) -> ScenarioFile:
    """One scenario file and the cases beside it, with every problem that shows."""
    try:
        scenario, source = read(path, Scenario)
    except FileError as error:
        return ScenarioFile(path, None, (), tuple(error.problems))
    problems = lint.problems_in(scenario, source, catalogue) + _misnamed(scenario, source)
    cases_path = path.with_name(path.stem + ".cases.yaml")
    if not cases_path.exists():
        problems.append(Problem(path, 1, f"has no cases: {cases_path.name} is missing"))
        return ScenarioFile(path, scenario, (), tuple(problems))
    try:
        cases, cases_source = read(cases_path, CaseFile)
    except FileError as error:
        return ScenarioFile(path, scenario, (), (*problems, *error.problems))
    problems += _unlike(scenario, cases, cases_source)
    if not problems:
        problems += _uncovered(scenario, cases, cases_source, catalogue)
        problems += _broken_cases(scenario, cases, cases_source, catalogue)
    return ScenarioFile(path, scenario, cases.cases, tuple(problems))


def load_behaviours(path: Path) -> tuple[Behaviour, ...]:
    """The behaviour list in the file at ``path``. Raises :class:`FileError`."""
    file, _ = read(path, BehaviourFile)
    return file.behaviours


def _misnamed(scenario: Scenario, source: Source) -> list[Problem]:
    older = _OLDER.match(source.path.stem)
    name, version = (older["id"], int(older["version"])) if older else (source.path.stem, scenario.version)
    problems = []
    if scenario.id != name:
        problems.append(source.problem(f"the file's name says `{name}`", "id"))
    if scenario.version != version:
        problems.append(source.problem(f"the file's name says version {version}", "version"))
    return problems


def _misplaced(file: ScenarioFile, files: list[ScenarioFile]) -> tuple[Problem, ...]:
    """Whether ``NAME.vN.yaml`` is older than the ``NAME.yaml`` beside it, as it must be."""
    older = _OLDER.match(file.path.stem)
    if older is None:
        return ()
    current = next((each for each in files if each.path.stem == older["id"]), None)
    if current is None:
        return (Problem(file.path, 1, f"is an older version, and {older['id']}.yaml is missing"),)
    if current.scenario is not None and int(older["version"]) >= current.scenario.version:
        return (Problem(file.path, 1, f"must be older than {current.path.name}"),)
    return ()


def _unlike(scenario: Scenario, cases: CaseFile, source: Source) -> list[Problem]:
    """Where the cases don't fit the scenario as a whole."""
    problems = []
    if cases.scenario != scenario.id:
        problems.append(source.problem(f"the scenario beside it is `{scenario.id}`", "scenario"))
    if cases.version != scenario.version:
        problems.append(source.problem(f"the scenario beside it has version {scenario.version}", "version"))
    ids = [case.id for case in cases.cases]
    problems += [
        source.problem(f"the case `{case}` stands here twice", "cases", index, "id")
        for index, case in enumerate(ids)
        if case in ids[:index]
    ]
    return problems


def _uncovered(scenario: Scenario, cases: CaseFile, source: Source, catalogue: Catalogue) -> list[Problem]:
    """What no case is an example of."""
    wanted = list(_ALWAYS)
    if any(_can_fall_short(criterion, catalogue) for criterion in scenario.criteria):
        wanted.append(Covers.JUST_SHORT)
    if any(catalogue.get(code).suppressible for code in scenario.record_types):
        wanted.append(Covers.SUPPRESSED)
    covered = {case.covers for case in cases.cases}
    return [source.problem(f"no case covers `{kind.value}`", "cases") for kind in wanted if kind not in covered]


def _can_fall_short(criterion: Criterion, catalogue: Catalogue) -> bool:
    """Whether a record of the type can be there and not be enough."""
    fields = catalogue.get(criterion.record).fields
    for member, condition in criterion.test.items():
        field = fields[member]
        if condition.at_least is not None or (
            isinstance(field, EnumField) and not field.values.keys() <= set(condition.in_)
        ):
            return True
    return False


def _broken_cases(scenario: Scenario, cases: CaseFile, source: Source, catalogue: Catalogue) -> list[Problem]:
    """The cases that aren't borne out."""
    problems = []
    for index, case in enumerate(cases.cases):
        try:
            different = difference(case, answer(scenario, case.facts, catalogue, _MOMENT))
        except FactError as error:
            problems.append(source.problem(error.message, "cases", index, "facts", error.fact, *error.member))
            continue
        if different is not None:
            member, sentence = different
            problems.append(source.problem(f"case `{case.id}`: {sentence}", "cases", index, member))
    return problems
