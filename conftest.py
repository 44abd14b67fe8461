"""What every test shares."""

import os
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
def _closed_world() -> Iterator[None]:
    """No test sees the machine's settings or reaches beyond it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("XINYI_") or name.lower().endswith("_proxy"):
                patch.delenv(name)
        forbid_network(patch)
        yield
