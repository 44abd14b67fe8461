"""Batches advance when the test says so."""

import pytest

from tests.support.world import World


@pytest.fixture
async def world(world: World) -> World:
    await world.services.batch_worker.stop()
    return world
