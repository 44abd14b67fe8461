"""The engine: everything that waits is answered as one batch, in one transaction, with one signature.

There is no timer. While one batch is in the database the next one gathers, so that under load the cost of the queries,
the commit and the signature is shared, and with one caller nothing is added. Long jobs take turns between the batches:
calls go first.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy.exc import DBAPIError

from ..kernel.errors import Code, XinyiError
from ..telemetry.logs import log_unforeseen
from ..telemetry.service import Telemetry
from .model import Ask, Result
from .service import CheckService

BATCH: Final = 256
"""The most requests that one transaction carries."""

CAPACITY: Final = 4096
"""The most requests that may wait; beyond it callers are told to come back."""

SHARE: Final = CAPACITY // 4
"""The most of them that may be one partner's: nobody fills the places of all."""


PATIENCE: Final = 64
"""Batches of calls after which a turn of a long job goes even so: it advances however many call."""

_T = TypeVar("_T")
_Turn = tuple[Callable[[bool, Callable[[], bool]], Awaitable[Any]], asyncio.Future[Any]]


class Engine:
    """One per worker. :meth:`start` it before the first check, :meth:`stop` it to finish what waits."""

    def __init__(self, checks: CheckService, telemetry: Telemetry | None = None) -> None:
        self._checks = checks
        self._telemetry = telemetry or Telemetry()
        self._waiting: deque[tuple[Ask, asyncio.Future[Result]]] = deque()
        self._waiting_of: Counter[str] = Counter()
        self._turns: deque[_Turn] = deque()
        self._passed_over = 0
        self._called = False
        self._arrival = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many checks wait for the next batches."""
        return len(self._waiting)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="checks.engine")

    async def stop(self) -> None:
        """Finishes what waits; what comes later is refused."""
        self._stopping = True
        self._arrival.set()
        if self._task is not None:
            await self._task

    async def check(self, ask: Ask) -> Result:
        """Answers one request, in company of those who wait at the same moment.

        Raises ``XinyiError(UNAVAILABLE)`` when too many wait, or when the batch can't be committed: then nothing was
        answered, and nothing was used up.
        """
        if self._stopping or len(self._waiting) >= CAPACITY:
            raise XinyiError(Code.UNAVAILABLE, "too many checks wait", retry_after=1)
        if self._waiting_of[ask.partner_id] >= SHARE:
            raise XinyiError(Code.RATE_LIMITED, f"{SHARE} of this partner's checks wait already", retry_after=1)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._telemetry.joins(future)
        self._waiting.append((ask, future))
        self._waiting_of[ask.partner_id] += 1
        self._called = True
        self._arrival.set()
        return await future

    async def between(self, turn: Callable[[bool, Callable[[], bool]], Awaitable[_T]]) -> _T:
        """Runs one turn of a long job when no call waits; gives what it gives, raises what it raises.

        ``turn`` is told whether to be short, since calls have come after the turn before it, and may ask whether to go
        on, since still nobody waits. Raises ``XinyiError(UNAVAILABLE)`` when the engine is stopping: then the turn
        didn't run.
        """
        if self._stopping:
            raise XinyiError(Code.UNAVAILABLE, "the server is stopping", retry_after=1)
        future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._turns.append((turn, future))
        self._arrival.set()
        return await future

    async def _run(self) -> None:
        while self._waiting or self._turns or not self._stopping:
            await self._arrival.wait()
            self._arrival.clear()
            while self._waiting or self._turns:
                await asyncio.sleep(0)  # whoever was just answered goes on, and who has called meanwhile comes along
                if self._turns and (not self._waiting or self._passed_over >= PATIENCE):
                    self._passed_over, short, self._called = 0, self._called, False
                    await self._take(*self._turns.popleft(), short)
                else:
                    self._passed_over += bool(self._turns)
                    await self._answer(self._next())

    def _next(self) -> list[tuple[Ask, asyncio.Future[Result]]]:
        """The next batch, without those who hung up."""
        batch: list[tuple[Ask, asyncio.Future[Result]]] = []
        while self._waiting and len(batch) < BATCH:
            ask, future = self._waiting.popleft()
            self._waiting_of[ask.partner_id] -= 1
            if not self._waiting_of[ask.partner_id]:
                del self._waiting_of[ask.partner_id]
            if not future.done():
                batch.append((ask, future))
        return batch

    def _idle(self) -> bool:
        return not (self._waiting or self._stopping)

    async def _take(
        self, turn: Callable[[bool, Callable[[], bool]], Awaitable[Any]], future: asyncio.Future[Any], short: bool
    ) -> None:
        if future.done():  # whoever wanted it has gone
            return
        try:
            result = await turn(short, self._idle)
        except Exception as error:  # noqa: BLE001 (it goes to whoever wanted the turn)
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(result)

    async def _answer(self, batch: Sequence[tuple[Ask, asyncio.Future[Result]]], *, again: bool = False) -> None:
        """Answers a batch; one that the database refuses is taken apart, so that an item fails alone.

        Each item is tried once more by itself: it may have lost a race for its idempotency key, and finds the winner's
        answer then.
        """
        try:
            with self._telemetry.batch([future for _, future in batch]):
                results = await self._checks.run([ask for ask, _ in batch])
        except DBAPIError as error:
            if again:
                log_unforeseen(error)
                _fail(batch, XinyiError(Code.UNAVAILABLE, "the check couldn't be stored", retry_after=1))
                return
            for item in batch:
                await self._answer([item], again=True)
        except XinyiError as error:
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001 (the engine outlives a bug in one batch, and its callers are told)
            log_unforeseen(error)
            _fail(batch, XinyiError(Code.INTERNAL))
        else:
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)


def _fail(batch: Sequence[tuple[Ask, asyncio.Future[Result]]], error: XinyiError) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(XinyiError(error.code, error.detail, retry_after=error.retry_after))
