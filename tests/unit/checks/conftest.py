"""A fresh installation for each test."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.support.pairs import Pair
from tests.support.world import World, new_world


@pytest.fixture
async def world(tmp_path: Path, pair: Pair) -> AsyncGenerator[World]:
    async with new_world(tmp_path, pair) as fresh:
        yield fresh
