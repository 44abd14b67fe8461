"""Published scenarios."""

from collections.abc import Sequence

from .._operations import scenarios as operations
from ..models.scenarios import DryRun, DryRunCase, Scenario, ScenarioSummary
from .base import Resource


class Scenarios(Resource):
    """The published scenarios. Public: needs no consent and no token."""

    def list(self) -> tuple[ScenarioSummary, ...]:
        """All scenarios in their current version."""
        return self._driver.run(operations.list_scenarios(self._engine))

    def get(self, scenario_id: str, *, version: int | None = None) -> Scenario:
        """One scenario, in its current version or in one that a receipt names. Raises ``NotFound``."""
        return self._driver.run(operations.get_scenario(self._engine, scenario_id, version))

    def dry_run(
        self,
        scenario_id: str,
        *,
        cases: Sequence[DryRunCase] | None = None,
        version: int | None = None,
        compare_to: int | None = None,
    ) -> DryRun:
        """What a check would answer for synthetic facts, by the functions that answer checks.

        Without ``cases``, the scenario's own are evaluated. With ``compare_to``, each result says whether the two
        versions differ. Nothing is stored and no use is spent. Needs the scope ``checks``, and raises ``NotFound``,
        ``NotEntitled`` and ``InvalidRequest``.
        """
        return self._driver.run(operations.dry_run(self._engine, scenario_id, cases, version, compare_to))
