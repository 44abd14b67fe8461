"""What the law's tests share."""

import pytest

from tests.support.world import Subject, World
from xinyi.partners.model import Client

SCENARIO = "bike-deposit"


@pytest.fixture
async def person(world: World) -> Subject:
    return await world.subject()


@pytest.fixture
async def bike(world: World) -> Client:
    return await world.client(SCENARIO, kind="bike-share")
