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
