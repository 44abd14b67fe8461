"""What an operator may know of the running program: counts always, spans when a setting asks for them."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from litestar.types import HTTPScope
from prometheus_client import start_http_server

from ..settings import Settings
from .metrics import Metrics
from .traces import Traces, exported


class Telemetry:
    """Told by the rooms what happens; keeps numbers and shapes, and nothing of what anybody sent."""

    def __init__(self, traces: Traces | None = None) -> None:
        self.metrics: Final = Metrics()
        self.traces: Final = traces

    @classmethod
    def of(cls, settings: Settings) -> "Telemetry":
        """As ``settings`` ask. Raises ``TracesMissing``."""
        return cls(exported() if settings.traces else None)

    def answered(self, scope: HTTPScope, status: int, seconds: float) -> None:
        """An exchange has ended: see :meth:`Metrics.answered`."""
        self.metrics.answered(scope, status, seconds)

    def joins(self, future: asyncio.Future[Any]) -> None:
        """The present request waits for the batch that settles ``future``."""
        if self.traces is not None:
            self.traces.joins(future)

    @contextmanager
    def batch(self, futures: Sequence[asyncio.Future[Any]]) -> Iterator[None]:
        """Around the transaction that settles ``futures``."""
        with self.metrics.batch(len(futures)):
            if self.traces is None:
                yield
            else:
                with self.traces.batch(futures):
                    yield

    @contextmanager
    def commit(self) -> Iterator[None]:
        """Around the commit of a transaction that writes."""
        with self.metrics.commit():
            if self.traces is None:
                yield
            else:
                with self.traces.commit():
                    yield

    @contextmanager
    def served(self, settings: Settings) -> Iterator[None]:
        """Lets ``/metrics`` be read at the settings' listener, if they name one, while the block lasts.

        Each worker has a port of its own, the first that is free from ``metrics_port`` on: a worker that is replaced
        frees its port for the next. Raises ``OSError`` when none is free.
        """
        if settings.metrics_port is None:
            yield
            return
        server, thread = self._listen(settings, settings.metrics_port)
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _listen(self, settings: Settings, first: int) -> tuple[Any, Any]:
        for port in range(first, first + settings.workers):
            try:
                return start_http_server(port, settings.metrics_host, self.metrics.registry)
            except OSError as error:
                refused = error
        raise refused

    def close(self) -> None:
        """Sends the spans that are still held."""
        if self.traces is not None:
            self.traces.close()
