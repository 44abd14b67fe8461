"""What every test shares, the product's and the SDK's."""

from collections.abc import Iterator

import pytest

from tests.support.counts import Counts
from tests.support.network import forbid_network


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Counts())


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        forbid_network(patch)
        yield
