"""What the law's tests share."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.support.pairs import Pair
from tests.support.world import Subject, World, new_world
from xinyi.partners.model import Client

SCENARIO = "bike-deposit"


@pytest.fixture
async def world(tmp_path: Path, pair: Pair) -> AsyncGenerator[World]:
    async with new_world(tmp_path, pair) as fresh:
        yield fresh


@pytest.fixture
async def person(world: World) -> Subject:
    return await world.subject()


@pytest.fixture
async def bike(world: World) -> Client:
    return await world.client(SCENARIO, kind="bike-share")
