"""The server that the modules try, and its clients."""

from collections.abc import AsyncGenerator

import pytest

from tests.security.fapi2.plan import Plan
from tests.security.fapi2.suite import ISSUER, SECOND_REDIRECT_URI, Server, TestClient
from tests.support.clock import ManualClock
from tests.support.pairs import Pair
from xinyi.app import create_app


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory, pair: Pair) -> AsyncGenerator[Server]:
    folder, clock = tmp_path_factory.mktemp("fapi2"), ManualClock()
    app = create_app(pair.settings(folder, issuer=ISSUER), clock)
    clock.followers.append(lambda by: pair.time_passes(folder, by))
    async with app.lifespan():
        yield Server(app, clock)


@pytest.fixture
async def client(server: Server) -> TestClient:
    return await server.client()


@pytest.fixture
async def client2(server: Server) -> TestClient:
    """The second client, whose redirect URI has a query."""
    return await server.client(SECOND_REDIRECT_URI)


@pytest.fixture(params=list(Plan), ids=[plan.name.lower() for plan in Plan])
def plan(request: pytest.FixtureRequest) -> Plan:
    """Both plans, for the modules that are in both."""
    found: Plan = request.param
    return found
