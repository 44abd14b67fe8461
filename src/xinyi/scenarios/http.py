"""``/v1/scenarios``, ``/v1/behaviours`` and ``/v1/metadata/outcomes``."""

from typing import Annotated, Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter

from ..catalogue.service import Catalogue
from ..kernel.clock import Clock
from ..kernel.errors import Code
from ..web.caching import public
from ..web.envelope import Envelope
from ..web.principal import Scope, requires
from ..web.problem import problems
from .behaviours import Behaviour
from .dry_runs import dry_run
from .registry import Registry
from .views import OUTCOMES, DryRun, DryRunRequest, OutcomeView, ScenarioSummary, ScenarioView, summary, whole

ScenarioId = Annotated[str, PathParameter(max_length=64, description="The scenario's id, such as `bike-deposit`.")]


class ScenarioController(Controller):
    """The application list, and trying it out."""

    path = "/v1/scenarios"
    tags = ("Scenarios",)

    @get(operation_id="listScenarios", summary="The application list: which scenarios there are")
    async def list(
        self, request: Request[Any, Any, Any], scenarios: NamedDependency[Registry]
    ) -> Response[Envelope[list[ScenarioSummary]]]:
        """Lists the latest published version of every scenario, in the order of their ids."""
        return public(request, Envelope([summary(scenario) for scenario in scenarios.all()]))

    @get(
        "/{scenario_id:str}",
        operation_id="getScenario",
        summary="One scenario: criteria, fields, purpose, fallback",
        responses=problems(Code.NOT_FOUND),
    )
    async def read(
        self, request: Request[Any, Any, Any], scenario_id: ScenarioId, scenarios: NamedDependency[Registry]
    ) -> Response[Envelope[ScenarioView]]:
        """Shows the latest published version, whole."""
        return public(request, Envelope(whole(scenarios.get(scenario_id))))

    @get(
        "/{scenario_id:str}/versions/{version:int}",
        operation_id="getScenarioVersion",
        summary="One version of a scenario",
        responses=problems(Code.NOT_FOUND),
    )
    async def read_version(
        self,
        request: Request[Any, Any, Any],
        scenario_id: ScenarioId,
        version: Annotated[int, PathParameter(description="The version, from 1.")],
        scenarios: NamedDependency[Registry],
    ) -> Response[Envelope[ScenarioView]]:
        """Shows this very version, whether or not it is still in use: receipts and consents name it."""
        return public(request, Envelope(whole(scenarios.version(scenario_id, version))))

    @post(
        "/{scenario_id:str}/dry-runs",
        operation_id="createDryRun",
        summary="Evaluate synthetic facts, and compare two versions",
        status_code=200,
        guards=[requires(Scope.CHECKS)],
        responses=problems(
            Code.MALFORMED,
            Code.UNAUTHENTICATED,
            Code.INVALID_TOKEN,
            Code.INVALID_DPOP_PROOF,
            Code.INSUFFICIENT_SCOPE,
            Code.NOT_FOUND,
            Code.BODY_TOO_LARGE,
            Code.UNSUPPORTED_MEDIA_TYPE,
            Code.INVALID,
        ),
    )
    async def dry_run(
        self,
        data: JSONBody[DryRunRequest],
        scenario_id: ScenarioId,
        scenarios: NamedDependency[Registry],
        catalogue: NamedDependency[Catalogue],
        clock: NamedDependency[Clock],
    ) -> Envelope[DryRun]:
        """Says what a partner would learn about a subject with these facts, by the very functions that answer checks.

        With `compare_to`, each case tells whether the two versions say different things. Nothing is stored, no use is
        spent, and no subject is involved.
        """
        return Envelope(dry_run(scenario_id, data, scenarios, catalogue, clock.now()))


@get(
    "/v1/behaviours",
    tags=["Scenarios"],
    operation_id="listBehaviours",
    summary="The behaviour list: what a partner may and may not do with an answer",
)
async def list_behaviours(
    request: Request[Any, Any, Any], scenarios: NamedDependency[Registry]
) -> Response[Envelope[list[Behaviour]]]:
    """Lists what partners agree to when they use the platform."""
    return public(request, Envelope(list(scenarios.behaviours)))


@get(
    "/v1/metadata/outcomes",
    tags=["Metadata"],
    operation_id="listOutcomes",
    summary="The outcomes, in neutral words",
)
async def list_outcomes(request: Request[Any, Any, Any]) -> Response[Envelope[list[OutcomeView]]]:
    """Lists all that is ever said about a scenario or a criterion. The list is closed."""
    return public(request, Envelope(list(OUTCOMES)))
