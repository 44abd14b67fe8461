"""Spans of requests, batches and commits, by OpenTelemetry: the extra ``traces``, off unless a setting asks for it.

A span holds the route's template, the method, the status, sizes and the interaction id: nothing else that a caller
sent, no exception's text, and nothing of a record. Callers can't say into which trace their request goes.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext, TracerProvider


class TracesMissing(Exception):
    """The setting ``traces`` is on, and the extra isn't installed. ``str()`` says what to install."""


class Traces:
    """Makes the spans of one process. ``provider``: OpenTelemetry's; what it does with them is its own matter."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry import context, trace

        self._trace = trace
        self._root = context.Context()
        self._provider = provider
        self._tracer = provider.get_tracer("xinyi")
        self._waiting: WeakKeyDictionary[asyncio.Future[Any], SpanContext] = WeakKeyDictionary()

    def joins(self, future: "asyncio.Future[Any]") -> None:
        """The present request waits for a batch that will settle ``future``: the batch's span links to it."""
        self._waiting[future] = self._trace.get_current_span().get_span_context()

    @contextmanager
    def batch(self, futures: Sequence["asyncio.Future[Any]"]) -> Iterator[None]:
        """Around the transaction of a batch, which settles ``futures``."""
        links = [self._trace.Link(self._waiting[future]) for future in futures if future in self._waiting]
        with self._span("checks.batch", links=links, attributes={"xinyi.batch.size": len(futures)}):
            yield

    @contextmanager
    def commit(self) -> Iterator[None]:
        """Around the commit of a transaction."""
        with self._span("database.commit"):
            yield

    @contextmanager
    def request(self) -> "Iterator[Span]":
        """Around one request: a trace of its own."""
        with self._span("request", context=self._root) as span:
            yield span

    def close(self) -> None:
        """Sends what is still held, as the provider does when it ends."""
        if (shutdown := getattr(self._provider, "shutdown", None)) is not None:
            shutdown()

    @contextmanager
    def _span(self, name: str, **more: Any) -> "Iterator[Span]":
        # The text of an exception may quote a value: the span gets its type alone.
        with self._tracer.start_as_current_span(
            name, record_exception=False, set_status_on_exception=False, **more
        ) as span:
            try:
                yield span
            except BaseException as error:
                span.set_status(self._trace.StatusCode.ERROR)
                span.set_attribute("error.type", type(error).__name__)
                raise


class TracingMiddleware:
    """A span for each request, a root of its own whatever ``traceparent`` says."""

    def __init__(self, app: ASGIApp, traces: Traces) -> None:
        self._app = app
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        with self._traces.request() as span:

            async def send_with_status(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            try:
                await self._app(scope, receive, send_with_status)
            finally:
                route = scope.get("path_template", "unmatched")
                span.update_name(f"{scope['method']} {route}")
                span.set_attribute("http.route", route)
                span.set_attribute("http.request.method", scope["method"])
                span.set_attribute("xinyi.interaction_id", scope["state"]["interaction_id"])


def exported() -> Traces:
    """Traces that go where OpenTelemetry's own ``OTEL_*`` variables say, in batches, over OTLP.

    Raises :class:`TracesMissing`.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise TracesMissing("the setting traces needs more packages: pip install 'xinyi[traces]'") from error
    provider = TracerProvider(resource=Resource.create({"service.name": "xinyi"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Traces(provider)
