"""A world whose partner has a receiver."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.events import Told, telling
from tests.support.pairs import Pair


@pytest.fixture
async def told(pair: Pair, tmp_path: Path) -> AsyncIterator[Told]:
    async with telling(tmp_path, pair) as told:
        yield told


@pytest.fixture
async def hasty(pair: Pair, tmp_path: Path) -> AsyncIterator[Told]:
    """One that waits a second for a receiver, and no longer."""
    async with telling(tmp_path, pair, event_timeout=1) as told:
        yield told
