"""The only module that knows httpx: it turns requests and responses, and drives flows, blocking or awaiting.

It costs half of an import, so it is loaded with the first client.
"""

import asyncio
import os
import platform
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from copy import copy
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar
from weakref import WeakSet

import httpx

from ._flow import LOCKS, Flow, Page, Pause, Request, Response, Send, Step
from ._version import __version__
from .errors import ConfigurationError, ConnectionFailed, TimedOut, XinyiError

T = TypeVar("T")

HttpClient: TypeAlias = httpx.Client
AsyncHttpClient: TypeAlias = httpx.AsyncClient


def user_agent() -> str:
    """The versions that matter when something breaks. Nothing else is told to anybody."""
    return f"xinyi-sdk/{__version__} python/{platform.python_version()} httpx/{httpx.__version__}"


def _arguments(request: Request, timeout: float | None) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.url,
        "headers": dict(request.headers),
        "content": request.body,
        "follow_redirects": False,  # a proof is for one address
        "timeout": httpx.USE_CLIENT_DEFAULT if timeout is None else timeout,
    }


def _response(response: httpx.Response) -> Response:
    headers: dict[str, str] = {}
    for name, value in response.headers.raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text  # RFC 9110 §5.3
    return Response(response.status_code, headers, response.content)


def _failure(error: httpx.HTTPError, request: Request) -> ConnectionFailed:
    where = f"{request.method} {request.url.partition('?')[0]}"
    if isinstance(error, httpx.TimeoutException):
        return TimedOut(f"{where}: no answer in time ({type(error).__name__})")
    return ConnectionFailed(f"{where}: {type(error).__name__}: {error}")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """How clients without an ``http_client`` of their own reach the platform, and how they wait."""

    transport: httpx.MockTransport | None = None
    sleep: Callable[[float], None] = time.sleep
    sleep_async: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep


surroundings = Surroundings()
"""Those of clients that are made from now on; ``xinyi_sdk.testing`` puts its own here."""


class _Connections:
    """The HTTP client and the locks, which all drivers of one client share.

    A fork leaves both unusable in the child: connections would be used by two processes, and a lock that another thread
    held stays locked for ever. So the child gets new ones; an HTTP client that was brought along can't be made anew.
    """

    def __init__(self, brought: Any, make_http: Callable[[], Any], make_lock: Callable[[], Any]) -> None:
        self.owned = brought is None
        self._make_http, self._make_lock = make_http, make_lock
        self._usable = True
        self._http = make_http() if brought is None else brought
        self._loop: asyncio.AbstractEventLoop | None = None
        self.locks = {name: make_lock() for name in LOCKS}
        _connections.add(self)

    @property
    def http(self) -> Any:
        if not self._usable:
            raise ConfigurationError("this http_client was made before a fork: make it, and the client, in the child")
        return self._http

    def enter(self, loop: asyncio.AbstractEventLoop) -> None:
        """Serves the tasks of one event loop; of another one when that has ended, with new connections."""
        if self._loop is not None and not self._loop.is_closed():
            raise ConfigurationError("an AsyncXinyi serves the tasks of one event loop: make another one for this loop")
        if self._loop is not None:
            self._renew()
        self._loop = loop

    def serves(self, loop: asyncio.AbstractEventLoop) -> bool:
        return self._loop is loop

    def after_fork(self) -> None:
        self._loop = None
        self._renew()
        self._usable = self.owned

    def _renew(self) -> None:
        self.locks = {name: self._make_lock() for name in LOCKS}
        if self.owned:
            self._http = self._make_http()


_connections: Final[WeakSet[_Connections]] = WeakSet()


def _after_fork() -> None:
    for connections in list(_connections):
        connections.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class SyncDriver:
    """Runs flows in the calling thread."""

    def __init__(self, http_client: HttpClient | None, timeout: float) -> None:
        transport = surroundings.transport
        self._connections = _Connections(
            http_client, lambda: httpx.Client(timeout=timeout, transport=transport), threading.Lock
        )
        self._timeout: float | None = None
        self._closes = self._connections.owned
        self.sleep: Callable[[float], None] = surroundings.sleep

    @property
    def http(self) -> HttpClient:
        """The HTTP client in use."""
        client: HttpClient = self._connections.http
        return client

    def with_timeout(self, seconds: float | None) -> "SyncDriver":
        """A driver over the same connections, which it leaves open, with another timeout."""
        other = copy(self)
        other._timeout = self._timeout if seconds is None else seconds
        other._closes = False
        return other

    def run(self, flow: Flow[T]) -> T:
        """What the flow returns, or raises."""
        try:
            step = next(flow)
            while True:
                try:
                    result = self._do(step)
                except XinyiError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(result)
        except StopIteration as stop:
            result_of_flow: T = stop.value
            return result_of_flow

    def iterate(self, page_at: Callable[[str | None], Flow[Page[T]]], cursor: str | None = None) -> Iterator[T]:
        """The items of all pages from ``cursor`` on, each page fetched when it is reached."""
        while True:
            page = self.run(page_at(cursor))
            yield from page.items
            if page.next is None:
                return
            cursor = page.next

    def _do(self, step: Step) -> object:
        if isinstance(step, Send):
            try:
                return _response(self.http.request(**_arguments(step.request, self._timeout)))
            except httpx.HTTPError as error:
                failure = _failure(error, step.request)
            raise failure  # outside of the handler: httpx's frames hold tokens, and the failure says what it said
        if isinstance(step, Pause):
            self.sleep(step.seconds)
            return None
        lock = self._connections.locks[step.name]
        if not lock.acquire(blocking=step.wait):
            return None
        try:
            return self.run(step.flow)
        finally:
            lock.release()

    def close(self) -> None:
        """Closes the connections, unless they were brought along or belong to another client."""
        if self._closes:
            self.http.close()


class AsyncDriver:
    """Runs flows in the running event loop of asyncio."""

    def __init__(self, http_client: AsyncHttpClient | None, timeout: float) -> None:
        transport = surroundings.transport
        self._connections = _Connections(
            http_client, lambda: httpx.AsyncClient(timeout=timeout, transport=transport), asyncio.Lock
        )
        self._timeout: float | None = None
        self._closes = self._connections.owned
        self.sleep: Callable[[float], Coroutine[Any, Any, None]] = surroundings.sleep_async

    @property
    def http(self) -> AsyncHttpClient:
        """The HTTP client in use."""
        client: AsyncHttpClient = self._connections.http
        return client

    def with_timeout(self, seconds: float | None) -> "AsyncDriver":
        """A driver over the same connections, which it leaves open, with another timeout."""
        other = copy(self)
        other._timeout = self._timeout if seconds is None else seconds
        other._closes = False
        return other

    async def run(self, flow: Flow[T]) -> T:
        """What the flow returns, or raises."""
        loop = asyncio.get_running_loop()
        if not self._connections.serves(loop):
            self._connections.enter(loop)
        try:
            step = next(flow)
            while True:
                try:
                    result = await self._do(step)
                except XinyiError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(result)
        except StopIteration as stop:
            result_of_flow: T = stop.value
            return result_of_flow

    async def iterate(
        self, page_at: Callable[[str | None], Flow[Page[T]]], cursor: str | None = None
    ) -> AsyncIterator[T]:
        """The items of all pages from ``cursor`` on, each page fetched when it is reached."""
        while True:
            page = await self.run(page_at(cursor))
            for item in page.items:
                yield item
            if page.next is None:
                return
            cursor = page.next

    async def _do(self, step: Step) -> object:
        if isinstance(step, Send):
            try:
                return _response(await self.http.request(**_arguments(step.request, self._timeout)))
            except httpx.HTTPError as error:
                failure = _failure(error, step.request)
            raise failure  # outside of the handler: httpx's frames hold tokens, and the failure says what it said
        if isinstance(step, Pause):
            await self.sleep(step.seconds)
            return None
        lock = self._connections.locks[step.name]
        if lock.locked() and not step.wait:
            return None
        async with lock:
            return await self.run(step.flow)

    async def close(self) -> None:
        """Closes the connections, unless they were brought along or belong to another client."""
        if self._closes:
            await self.http.aclose()
