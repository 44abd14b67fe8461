"""A world that outlives a test's function, for tests that Hypothesis calls without ``await``."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from tests.support.pairs import Pair
from tests.support.world import World, new_world


class HeldWorld:
    """A world with an event loop of its own, until it is closed."""

    def __init__(self, folder: Path, pair: Pair) -> None:
        self._runner = asyncio.Runner()
        self._context = new_world(folder, pair)
        self.world: World = self.run(self._context.__aenter__())

    def run(self, job: Awaitable[Any]) -> Any:
        async def wait() -> Any:
            return await job

        return self._runner.run(wait())

    def close(self) -> None:
        self.run(self._context.__aexit__(None, None, None))
        self._runner.close()
