"""The only module that knows httpx: it turns requests and responses, and drives flows, blocking or awaiting."""

import asyncio
import platform
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

import httpx

from ._flow import LOCKS, Flow, Pause, Request, Response, Send, Step
from ._version import __version__
from .errors import ConnectionFailed, TimedOut, XinyiError

T = TypeVar("T")

HttpClient: TypeAlias = httpx.Client
AsyncHttpClient: TypeAlias = httpx.AsyncClient


def user_agent() -> str:
    """The versions that matter when something breaks. Nothing else is told to anybody."""
    return f"xinyi-sdk/{__version__} python/{platform.python_version()} httpx/{httpx.__version__}"


def _arguments(request: Request) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.url,
        "headers": dict(request.headers),
        "content": request.body,
        "follow_redirects": False,  # a proof is for one address
    }


def _response(response: httpx.Response) -> Response:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Response(response.status_code, headers, response.content)


def _failure(error: httpx.HTTPError, request: Request) -> ConnectionFailed:
    where = f"{request.method} {request.url.partition('?')[0]}"
    if isinstance(error, httpx.TimeoutException):
        return TimedOut(f"{where}: no answer in time ({type(error).__name__})")
    return ConnectionFailed(f"{where}: {type(error).__name__}: {error}")


class SyncDriver:
    """Runs flows in the calling thread."""

    def __init__(self, http_client: HttpClient | None, timeout: float) -> None:
        self._owned = http_client is None
        self.http = http_client or httpx.Client(timeout=timeout)
        self.sleep: Callable[[float], None] = time.sleep
        self._locks = {name: threading.Lock() for name in LOCKS}

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

    def _do(self, step: Step) -> object:
        if isinstance(step, Send):
            try:
                return _response(self.http.request(**_arguments(step.request)))
            except httpx.HTTPError as error:
                failure = _failure(error, step.request)
            raise failure  # outside of the handler: httpx's frames hold tokens, and the failure says what it said
        if isinstance(step, Pause):
            self.sleep(step.seconds)
            return None
        lock = self._locks[step.name]
        if not lock.acquire(blocking=step.wait):
            return None
        try:
            return self.run(step.flow)
        finally:
            lock.release()

    def close(self) -> None:
        """Closes the connections, unless the client was brought along."""
        if self._owned:
            self.http.close()


class AsyncDriver:
    """Runs flows in the running event loop of asyncio."""

    def __init__(self, http_client: AsyncHttpClient | None, timeout: float) -> None:
        self._owned = http_client is None
        self.http = http_client or httpx.AsyncClient(timeout=timeout)
        self.sleep: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep
        self._locks = {name: asyncio.Lock() for name in LOCKS}

    async def run(self, flow: Flow[T]) -> T:
        """What the flow returns, or raises."""
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

    async def _do(self, step: Step) -> object:
        if isinstance(step, Send):
            try:
                return _response(await self.http.request(**_arguments(step.request)))
            except httpx.HTTPError as error:
                failure = _failure(error, step.request)
            raise failure  # outside of the handler: httpx's frames hold tokens, and the failure says what it said
        if isinstance(step, Pause):
            await self.sleep(step.seconds)
            return None
        lock = self._locks[step.name]
        if lock.locked() and not step.wait:
            return None
        async with lock:
            return await self.run(step.flow)

    async def close(self) -> None:
        """Closes the connections, unless the client was brought along."""
        if self._owned:
            await self.http.aclose()
