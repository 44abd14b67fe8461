"""Kinds of things timed side by side: what disturbs the machine meets all kinds alike."""

import random
import time
from collections.abc import Awaitable, Iterable
from statistics import median
from typing import Final, TypeVar

T = TypeVar("T")

_QUIETEST: Final = 5
"""Of so many rounds one is looked at: those in which the machine was least disturbed, as a whole."""


class Rounds:
    """Each round has one of each kind, in an order of its own."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self._kinds = list(kinds)
        self._order = random.Random(7)  # noqa: S311 (the same in each run)
        self._rounds: list[dict[str, float]] = []

    def next(self) -> list[str]:
        """The kinds, in the order of the next round."""
        self._rounds.append({})
        return self._order.sample(self._kinds, len(self._kinds))

    async def timed(self, kind: str, doing: Awaitable[T]) -> T:
        """Awaits what is done for ``kind`` in this round."""
        began = time.perf_counter()
        done = await doing
        self._rounds[-1][kind] = time.perf_counter() - began
        return done

    def medians(self) -> dict[str, float]:
        """The median of the seconds of each kind, in the quietest rounds."""
        quiet = sorted(self._rounds, key=lambda times: sum(times.values()))[: max(1, len(self._rounds) // _QUIETEST)]
        return {kind: median(times[kind] for times in quiet) for kind in self._kinds}
