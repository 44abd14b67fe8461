"""The public lists and dry runs, over HTTP."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.middleware import DefineMiddleware
from litestar.types import ASGIApp, Receive, Send
from litestar.types import Scope as AsgiScope
from msgspec.structs import replace

from tests.support.clock import ManualClock
from xinyi.catalogue.http import list_record_types
from xinyi.catalogue.service import Catalogue
from xinyi.kernel.errors import XinyiError
from xinyi.scenarios.http import ScenarioController, list_behaviours, list_outcomes
from xinyi.scenarios.model import Condition, Rule
from xinyi.scenarios.registry import Registry
from xinyi.web.body import StrictRequest
from xinyi.web.middleware import ExchangeMiddleware
from xinyi.web.principal import Principal, Scope
from xinyi.web.problem import on_http_exception, on_xinyi_error

pytestmark = pytest.mark.anyio

CATALOGUE = Catalogue.load()
SHIPPED = Registry.load(CATALOGUE)
PARTNER = Principal("cli_1", frozenset({Scope.CHECKS}), "jkt", partner_id="prt_1")

FIRST = SHIPPED.get("bike-deposit")
STRICTER = replace(
    FIRST,
    version=2,
    criteria=(replace(FIRST.criteria[0], test={"months": Condition(at_least=6)}),),
    rule=Rule(all_of=(FIRST.criteria[0].id,)),
)
REGISTRY = Registry(
    [*SHIPPED.all(), STRICTER],
    {(scenario.id, scenario.version): SHIPPED.cases(scenario) for scenario in SHIPPED.all()},
    SHIPPED.behaviours,
)


class As:
    """Puts a principal where the authorization server's middleware would."""

    def __init__(self, app: ASGIApp, *, principal: Principal | None) -> None:
        self._app, self._principal = app, principal

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        scope["user"] = self._principal
        await self._app(scope, receive, send)


@asynccontextmanager
async def client(principal: Principal | None = PARTNER) -> AsyncGenerator[httpx.AsyncClient]:
    services = {"catalogue": CATALOGUE, "scenarios": REGISTRY, "clock": ManualClock()}
    app: Any = Litestar(
        [ScenarioController, list_behaviours, list_outcomes, list_record_types],
        dependencies={name: _provide(service) for name, service in services.items()},
        exception_handlers={XinyiError: on_xinyi_error, HTTPException: on_http_exception},
        middleware=[DefineMiddleware(ExchangeMiddleware, secure=False), DefineMiddleware(As, principal=principal)],
        request_class=StrictRequest,
        openapi_config=None,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as made:
        yield made


def _provide(service: object) -> Provide:
    return Provide(lambda: service, sync_to_thread=False)


async def get(path: str) -> Any:
    async with client(None) as anyone:
        response = await anyone.get(path)
        assert response.status_code == 200
        return response.json()["data"]


async def dry_run(
    body: object, scenario: str = "bike-deposit", principal: Principal | None = PARTNER
) -> httpx.Response:
    async with client(principal) as partner:
        return await partner.post(f"/v1/scenarios/{scenario}/dry-runs", json=body)


async def test_the_application_list_shows_the_latest_version_of_each() -> None:
    listed = await get("/v1/scenarios")
    assert len(listed) == 17
    assert [each["id"] for each in listed] == sorted(each["id"] for each in listed)
    bike = next(each for each in listed if each["id"] == "bike-deposit")
    assert (bike["version"], bike["digest"]) == (2, STRICTER.digest)


async def test_a_scenario_is_shown_whole() -> None:
    shown = await get("/v1/scenarios/microloan-prescreen")
    assert shown["rule"] == {"all_of": ["tax-rating", "tax-on-time", "social-insurance"]}
    assert shown["units"] == ["social-insurance", "tax-on-time", "tax-rating", "tax-rating.grade"]
    assert shown["criteria"][1]["test"] == {"months": {"at_least": 12}}
    assert shown["criteria"][1]["max_age"] == "P62D"
    assert shown["consent"] == {"form": "written", "max_days": 90, "uses": "recurring"}
    assert shown["fallback"]["zh"]
    assert shown["purpose"]["en"]


async def test_an_older_version_stays_readable() -> None:
    shown = await get("/v1/scenarios/bike-deposit/versions/1")
    assert (shown["version"], shown["digest"]) == (1, FIRST.digest)


async def test_what_is_not_there_is_not_found() -> None:
    async with client(None) as anyone:
        for path in ("/v1/scenarios/nope", "/v1/scenarios/bike-deposit/versions/3"):
            response = await anyone.get(path)
            assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_the_data_list_shows_fields_and_values() -> None:
    listed = await get("/v1/record-types")
    rating = next(each for each in listed if each["code"] == "TAX_RATING")
    grade = next(each for each in rating["fields"] if each["name"] == "grade")
    assert list(grade["values"]) == ["A", "B", "M"]


async def test_the_behaviour_list_says_what_a_partner_may_not_do() -> None:
    listed = {each["id"]: each for each in await get("/v1/behaviours")}
    assert listed["onward-supply"]["allowed"] is False
    assert listed["decide-the-incentive"]["allowed"] is True


async def test_the_outcomes_are_two() -> None:
    assert [each["code"] for each in await get("/v1/metadata/outcomes")] == ["met", "not_evidenced"]


@pytest.mark.parametrize("path", ["/v1/scenarios", "/v1/record-types", "/v1/behaviours", "/v1/metadata/outcomes"])
async def test_what_a_caller_holds_already_is_not_sent_again(path: str) -> None:
    async with client(None) as anyone:
        first = await anyone.get(path)
        assert first.headers["cache-control"] == "public, max-age=300"
        again = await anyone.get(path, headers={"if-none-match": f'"other", W/{first.headers["etag"]}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        assert (await anyone.get(path, headers={"if-none-match": '"other"'})).status_code == 200


async def test_synthetic_facts_get_the_answer_that_a_partner_would_get() -> None:
    facts = [
        {"record": "TAX_RATING", "fields": {"year": 2025, "grade": "B"}},
        {"record": "TAX_ONTIME", "fields": {"months": 12, "as_of": "-1d"}},
        {"record": "SOCINS_PAID", "fields": {"months": 6, "as_of": "2026-11-01"}, "observed": "-1d"},
    ]
    cases = [{"id": "full", "facts": facts}, {"id": "two", "facts": facts[:2]}, {"id": "none", "facts": []}]
    response = await dry_run({"cases": cases}, "microloan-prescreen")
    assert response.status_code == 200
    full, two, none = [each["answer"] for each in response.json()["data"]["results"]]
    assert full["outcome"] == "met"
    assert full["disclosed"] == {"tax-rating": {"grade": "B"}}
    assert two["outcome"] == "not_evidenced"
    assert two["disclosed"] == {}
    assert [criterion["outcome"] for criterion in two["criteria"]] == ["met", "met", "not_evidenced"]
    assert [criterion["outcome"] for criterion in none["criteria"]] == ["not_evidenced"] * 3


async def test_two_versions_are_compared_case_by_case() -> None:
    response = await dry_run({"version": 1, "compare_to": 2})
    data = response.json()["data"]
    assert (data["scenario"]["version"], data["compared_to"]["version"]) == (1, 2)
    results = {each["id"]: each for each in data["results"]}
    assert results["met"]["differs"] is True
    assert (results["met"]["answer"]["outcome"], results["met"]["compared"]["outcome"]) == ("met", "not_evidenced")
    assert results["no-record"]["differs"] is False


async def test_without_cases_the_published_ones_are_run() -> None:
    response = await dry_run({}, "trade-finance")
    cases = SHIPPED.cases(SHIPPED.get("trade-finance"))
    results = response.json()["data"]["results"]
    assert [(each["id"], each["answer"]["outcome"]) for each in results] == [(case.id, case.outcome) for case in cases]
    assert all(each["compared"] is None and each["differs"] is None for each in results)


@pytest.mark.parametrize(
    ("body", "status", "code", "source"),
    [
        (
            {"cases": [{"id": "a", "facts": [{"record": "NOPE", "fields": {}}]}]},
            422,
            "invalid",
            "/cases/0/facts/0/record",
        ),
        (
            {"cases": [{"id": "a", "facts": [{"record": "TAX_RATING", "fields": {"year": 2025, "grade": "D"}}]}]},
            422,
            "invalid",
            "/cases/0/facts/0/fields/grade",
        ),
        ({"cases": [{"id": "a", "facts": [{"record": "X", "fields": {"n": None}}]}]}, 422, "invalid", None),
        ({"cases": [{"id": "a", "facts": []}] * 51}, 422, "invalid", "/cases"),
        ({"subject": "91310000631696382C"}, 422, "invalid", "/subject"),
        ({"version": "1"}, 422, "invalid", "/version"),
        ({"version": 7}, 404, "not_found", None),
        ({"compare_to": 7}, 404, "not_found", None),
        ([], 422, "invalid", ""),
    ],
)
async def test_a_dry_run_that_makes_no_sense_is_refused(body: Any, status: int, code: str, source: str | None) -> None:
    response = await dry_run(body)
    assert (response.status_code, response.json()["code"]) == (status, code)
    if source is not None:
        assert response.json()["source"] == source


async def test_a_dry_run_needs_the_scope_of_checks() -> None:
    assert (await dry_run({}, principal=None)).status_code == 401
    other = replace(PARTNER, scopes=frozenset({Scope.RECORDS}))
    assert (await dry_run({}, principal=other)).json()["code"] == "insufficient_scope"
