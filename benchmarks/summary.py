"""The arithmetic: percentiles, medians over repetitions, ratios."""

import math
from collections.abc import Sequence
from statistics import median

from msgspec import Struct


class Row(Struct, frozen=True):
    """One line of ``results.json``. Latencies are at half load; ``None`` where single requests have none."""

    name: str
    requests_per_s: float
    ratio_to_empty: float
    p50_ms: float | None = None
    p99_ms: float | None = None


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest of the ascending values that at least ``share`` (0 to 1) of them don't exceed (nearest rank)."""
    if not ordered:
        raise ValueError("nothing was measured")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class Measured(Struct):
    """What the repetitions of one contender gave. Everything is per request of it."""

    name: str
    rates: list[float] = []
    """Requests per second, as much as goes through."""
    costs: list[float] = []
    """Seconds of processor time of its process."""
    tails: list[tuple[float, float]] = []
    """The median and the 99th percentile at half load, in seconds."""
    busy: list[float] = []
    """The share of its own core that the load generator needed."""

    @property
    def rate(self) -> float:
        return median(self.rates)

    @property
    def cost(self) -> float:
        return median(self.costs)

    def row(self, empty: "Measured") -> Row:
        """The medians, held against the empty handler's."""
        tail = [round(1000 * median(each), 2) for each in zip(*self.tails, strict=True)]
        p50, p99 = tail or (None, None)
        return Row(self.name, round(self.rate, 1), round(self.rate / empty.rate, 4), p50, p99)
