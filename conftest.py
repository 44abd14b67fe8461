"""What every test shares."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from tests.support.canaries import watch
from tests.support.counts import TOLD, Counts
from tests.support.network import forbid_network
from tests.support.oauth import Platform, running_platform
from tests.support.pairs import Embedded, Pair, Servers, running_servers
from tests.support.world import World, new_world
from xinyi.storage.database import Database

# To explain a failure Hypothesis keeps the lines of every run while it shrinks: an hour here, and all of the memory.
settings.register_profile("unexplained", settings.default, phases=[each for each in Phase if each is not Phase.explain])
settings.load_profile("unexplained")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Counts(), "counts")
    config.pluginmanager.register(watch, "watch")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _closed_world() -> Iterator[None]:
    """No test sees the machine's settings or reaches beyond it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("XINYI_") or name.lower().endswith("_proxy"):
                patch.delenv(name)
        forbid_network(patch)
        yield


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Says a line at the end of the run: what a test counted or measured."""
    return lambda line: request.node.user_properties.append((TOLD, line))


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """PostgreSQL and Redis, started when the first test asks."""
    with running_servers(tmp_path_factory.mktemp("servers")) as running:
        yield running


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    """SQLite and memory."""
    return Embedded(tmp_path_factory.mktemp("embedded"))


@pytest.fixture(scope="session", params=["embedded", "servers"])
def pair(request: pytest.FixtureRequest) -> Pair:
    """What a test that stores anything runs on: first the one, then the other."""
    found: Pair = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def database(pair: Pair, tmp_path: Path) -> AsyncIterator[Database]:
    """A migrated, empty database."""
    database = Database(pair.database_url(tmp_path), pool_size=5)
    yield database
    await database.close()


@pytest.fixture
async def world(tmp_path: Path, pair: Pair) -> AsyncIterator[World]:
    """The services of a fresh installation, for one test."""
    async with new_world(tmp_path, pair) as fresh:
        yield fresh


@pytest.fixture(scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory, pair: Pair) -> AsyncIterator[Platform]:
    """A whole installation behind HTTP, which a file's tests share."""
    async with running_platform(tmp_path_factory.mktemp("platform"), pair) as running:
        yield running
