"""Dry runs: synthetic facts through the very functions that answer checks."""

from datetime import datetime

from ..catalogue.service import Catalogue
from ..kernel.errors import Code, XinyiError
from .cases import answer
from .facts import FactError
from .model import Scenario
from .registry import Registry
from .views import DryRun, DryRunAnswer, DryRunCase, DryRunRequest, DryRunResult, dry_run_answer, ref


def dry_run(
    scenario_id: str, request: DryRunRequest, scenarios: Registry, catalogue: Catalogue, at: datetime
) -> DryRun:
    """The answers for ``request``.

    Raises ``XinyiError``: NOT_FOUND for an unknown scenario or version, INVALID for a fact that its type refuses.
    """
    scenario = (
        scenarios.get(scenario_id) if request.version is None else scenarios.version(scenario_id, request.version)
    )
    other = None if request.compare_to is None else scenarios.version(scenario_id, request.compare_to)
    cases = request.cases
    if cases is None:
        cases = tuple(DryRunCase(case.id, case.facts) for case in scenarios.cases(scenario))
    results = []
    for index, case in enumerate(cases):
        got = _answer(scenario, case, index, catalogue, at)
        compared = None if other is None else _answer(other, case, index, catalogue, at)
        results.append(DryRunResult(case.id, got, compared, None if compared is None else got != compared))
    return DryRun(ref(scenario), None if other is None else ref(other), results)


def _answer(scenario: Scenario, case: DryRunCase, index: int, catalogue: Catalogue, at: datetime) -> DryRunAnswer:
    try:
        return dry_run_answer(answer(scenario, case.facts, catalogue, at))
    except FactError as error:
        source = "/".join(("/cases", str(index), "facts", str(error.fact), *error.member))
        raise XinyiError(Code.INVALID, error.message, source=source) from error
