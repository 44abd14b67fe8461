"""Published scenarios."""

from collections.abc import Sequence

from .._engine import Engine
from .._flow import Flow
from .._problems import read
from ..models.scenarios import DryRun, DryRunCase, Scenario, ScenarioSummary
from .common import Data, segment


def list_scenarios(engine: Engine) -> Flow[tuple[ScenarioSummary, ...]]:
    response = yield from engine.call("GET", "/v1/scenarios", public=True)
    return read(response, Data[tuple[ScenarioSummary, ...]]).data


def get_scenario(engine: Engine, scenario_id: str, version: int | None) -> Flow[Scenario]:
    path = f"/v1/scenarios/{segment(scenario_id)}" + (f"/versions/{version:d}" if version is not None else "")
    response = yield from engine.call("GET", path, public=True)
    return read(response, Data[Scenario]).data


def dry_run(
    engine: Engine,
    scenario_id: str,
    cases: Sequence[DryRunCase] | None,
    version: int | None,
    compare_to: int | None,
) -> Flow[DryRun]:
    body = {"cases": cases, "version": version, "compare_to": compare_to}
    body = {name: value for name, value in body.items() if value is not None}
    response = yield from engine.call("POST", f"/v1/scenarios/{segment(scenario_id)}/dry-runs", body=body)
    return read(response, Data[DryRun]).data
