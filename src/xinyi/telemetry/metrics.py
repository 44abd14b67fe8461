"""What the process counts, for Prometheus. It is read at a listener of its own, never at the address partners reach.

Labels come from closed lists alone: the routes' templates, the methods of HTTP, statuses and codes. No metric tells an
outcome: whoever reads the counters before and after one check would learn it.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from litestar.enums import HttpMethod
from litestar.types import HTTPScope
from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, Info, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .. import __version__

Reading = Callable[[], float | None]
"""Gives what is so at this moment; ``None`` while that isn't known. Called in another thread than the event loop's."""

REFUSAL: Final = "refusal"
"""In the scope's state: the code of the refusal that is answered. Set by whoever makes the response."""

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_METHODS: Final = frozenset(method.value for method in HttpMethod)


class Metrics:
    """The counts of one application in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        """All of it, to be read by ``prometheus_client``'s exposition."""
        self._requests: Final = Counter(
            "xinyi_http_requests",
            "Requests that were answered, by the template of the route; 'unmatched' has none. Status 0 had no answer.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds: Final = Histogram(
            "xinyi_http_request_seconds",
            "From the request's headers to the end of the answer.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._refusals: Final = Counter(
            "xinyi_refusals", "Refusals by their stable code.", ("code",), registry=self.registry
        )
        self._batch_size: Final = Histogram(
            "xinyi_engine_batch_size",
            "How many checks shared one transaction.",
            buckets=_SIZES,
            registry=self.registry,
        )
        self._batch_seconds: Final = Histogram(
            "xinyi_engine_batch_seconds",
            "How long the transactions of checks took.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._commit_seconds: Final = Histogram(
            "xinyi_database_commit_seconds",
            "How long the database took to make a transaction durable.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._attempts: Final = Counter(
            "xinyi_event_attempts",
            "Messages to partners' webhooks, by what came of them.",
            ("result",),
            registry=self.registry,
        )
        self._children: Final[dict[tuple[str, str, int], tuple[Counter, Histogram]]] = {}
        """By method, route and status: looking labels up costs more than counting."""
        Info("xinyi_build", "Which program this is.", registry=self.registry).info({"version": __version__})
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def answered(self, scope: HTTPScope, status: int, seconds: float) -> None:
        """Counts an exchange. ``status`` is 0 when the caller was given no answer."""
        key = (scope["method"], scope.get("path_template", "unmatched"), status)
        found = self._children.get(key)
        if found is None:
            found = self._child(*key)
        found[0].inc()
        found[1].observe(seconds)
        if (code := scope["state"].get(REFUSAL)) is not None:
            self._refusals.labels(code).inc()

    def _child(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        known = method if method in _METHODS else "other"  # a caller may make up as many as they like
        found = (self._requests.labels(known, route, status), self._seconds.labels(known, route))
        if known == method:
            self._children[method, route, status] = found
        return found

    @contextmanager
    def batch(self, size: int) -> Iterator[None]:
        """Around a transaction of ``size`` checks."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._batch_size.observe(size)
            self._batch_seconds.observe(time.perf_counter() - began)

    @contextmanager
    def commit(self) -> Iterator[None]:
        """Around the commit of a transaction that writes."""
        began = time.perf_counter()
        yield
        self._commit_seconds.observe(time.perf_counter() - began)

    def attempted(self, failure: str | None) -> None:
        """Counts a message to a webhook: it arrived, or why it didn't (a code of a closed list)."""
        self._attempts.labels(failure or "arrived").inc()

    def gauge(self, name: str, about: str, read: Reading) -> None:
        """Shows what ``read`` gives whenever somebody looks; without a sample while it gives ``None``."""
        self.registry.register(_Reading(GaugeMetricFamily, name, about, read))

    def counter(self, name: str, about: str, read: Reading) -> None:
        """The same for what only grows while the process lives."""
        self.registry.register(_Reading(CounterMetricFamily, name, about, read))


class _Reading(Collector):
    def __init__(
        self, family: type[GaugeMetricFamily | CounterMetricFamily], name: str, about: str, read: Reading
    ) -> None:
        self._family, self._name, self._about, self._read = family, name, about, read

    def describe(self) -> Iterable[Metric]:
        yield self._family(self._name, self._about)

    def collect(self) -> Iterable[Metric]:
        family = self._family(self._name, self._about)
        if (value := self._read()) is not None:
            family.add_metric([], value)
        yield family
