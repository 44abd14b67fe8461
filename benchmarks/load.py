"""A load generator on bare asyncio protocols: requests are bytes made before, and an answer is only looked at.

It must never be what limits a run: the table's first line says what it can do alone, and :attr:`Run.busy` how much of
its core it needed.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, cast

from msgspec import Struct

from .summary import percentile

CONNECTIONS: Final = 64
_HEAD_END: Final = b"\r\n\r\n"
_OK: Final = b"HTTP/1.1 200 "
_LENGTH: Final = b"\r\ncontent-length:"
_TICK: Final = 0.001


class WrongAnswer(Exception):
    """An answer that isn't the 200 that every request here must get: the run is worth nothing."""


class Run(Struct, frozen=True):
    """What one run measured."""

    seconds: float
    latencies: list[float]
    """One for each answer, in seconds, ascending."""
    busy: float
    """The share of the time in which the generator itself computed."""

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds

    @property
    def tail(self) -> tuple[float, float]:
        """The median and the 99th percentile, in seconds."""
        return percentile(self.latencies, 0.50), percentile(self.latencies, 0.99)


class AnswerReader:
    """Puts one answer at a time together from what the socket gives."""

    def __init__(self) -> None:
        self._data = b""
        self._wanted = 0

    def feed(self, data: bytes) -> bool:
        """Whether the answer is complete. Raises :class:`WrongAnswer` unless it is a 200 of the length that it says."""
        data = self._data + data if self._data else data
        if not self._wanted and (end := data.find(_HEAD_END)) >= 0:
            self._wanted = end + len(_HEAD_END) + _content_length(data[:end])
        if not self._wanted or len(data) < self._wanted:
            self._data = data
            return False
        if len(data) > self._wanted or not data.startswith(_OK):
            raise WrongAnswer(data.decode(errors="replace"))
        self._data, self._wanted = b"", 0
        return True


def _content_length(head: bytes) -> int:
    found = head.lower().partition(_LENGTH)[2].partition(b"\r\n")[0].strip()
    if not found.isdigit():
        raise WrongAnswer(head.decode(errors="replace"))
    return int(found)


async def closed_loop(port: int, requests: Sequence[bytes], connections: int = CONNECTIONS) -> Run:
    """As much as goes through: each connection sends its next request when it has its answer.

    Raises :class:`WrongAnswer` and ``ConnectionError``.
    """
    todo = iter(requests)

    def free(connection: _Connection) -> None:
        if (request := next(todo, None)) is not None:
            connection.send(request, time.perf_counter())

    return await _run(port, len(requests), connections, free)


async def open_loop(port: int, requests: Sequence[bytes], rate: float, connections: int = 4 * CONNECTIONS) -> Run:
    """Requests that come when they come, ``rate`` a second, at random (Poisson), whatever the server does.

    A latency counts from the moment at which the request was due, so that waiting for a slow server is never left out.
    Raises :class:`WrongAnswer` and ``ConnectionError``.
    """
    idle: deque[_Connection] = deque()
    waiting: deque[tuple[bytes, float]] = deque()

    def free(connection: _Connection) -> None:
        if waiting:
            connection.send(*waiting.popleft())
        else:
            idle.append(connection)

    async def arrive() -> None:
        todo = deque(zip(requests, _moments(rate, time.perf_counter()), strict=False))
        while todo:
            now = time.perf_counter()
            while todo and todo[0][1] <= now:
                waiting.append(todo.popleft())
            while waiting and idle:
                idle.popleft().send(*waiting.popleft())
            await asyncio.sleep(_TICK)

    return await _run(port, len(requests), connections, free, arrive)


def _moments(rate: float, start: float) -> Iterator[float]:
    chance = random.Random(1)  # noqa: S311 (arrivals, not secrets)
    while True:
        start += chance.expovariate(rate)
        yield start


class _Tally:
    """The answers that came, and whether that is all."""

    def __init__(self, total: int) -> None:
        self.latencies: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._total = total

    def answered(self, latency: float) -> None:
        self.latencies.append(latency)
        if len(self.latencies) == self._total:
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class _Connection(asyncio.Protocol):
    """One connection: one request at a time. ``free`` is told when it can take another."""

    def __init__(self, tally: _Tally, free: "Callable[[_Connection], None]") -> None:
        self._tally = tally
        self._free = free
        self._reader = AnswerReader()
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, due: float) -> None:
        self._due = due
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        try:
            complete = self._reader.feed(data)
        except WrongAnswer as error:
            self._tally.fail(error)
            return
        if complete:
            self._tally.answered(time.perf_counter() - self._due)
            self._free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._tally.fail(exc or ConnectionError("the server closed a connection"))


async def _run(
    port: int,
    total: int,
    connections: int,
    free: Callable[[_Connection], None],
    arrive: Callable[[], Awaitable[None]] | None = None,
) -> Run:
    loop, tally = asyncio.get_running_loop(), _Tally(total)
    made = [
        (await loop.create_connection(lambda: _Connection(tally, free), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    start, computed = time.perf_counter(), time.process_time()
    try:
        for connection in made:
            free(connection)
        if arrive is not None:
            await arrive()
        await tally.done
        seconds, busy = time.perf_counter() - start, time.process_time() - computed
    finally:
        for connection in made:
            connection.transport.abort()
    return Run(seconds, sorted(tally.latencies), busy / seconds)
