"""Counting what is stored anyway: checks know nothing of it, and each is counted once.

Checks are rolled up into days a few minutes after they were made, when none can be on its way any more that was made
before. What is younger is counted when somebody asks.
"""

from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.clock import Clock, whole_seconds
from ..kernel.errors import Code, XinyiError
from ..storage.database import Database
from ..storage.sql import take_turns
from . import repo
from .model import DayCount, Period, Price, Usage, day_of, days_between, summed

GRACE: Final = timedelta(minutes=5)
"""A check is stored within this time of its moment, or not at all: the database breaks off what takes a minute."""
STEP: Final = timedelta(minutes=1)
"""What is younger than this, on top of that, isn't worth a transaction."""
LONGEST: Final = timedelta(hours=1)
"""The longest time that one transaction rolls up."""
MAX_DAYS: Final = 366
"""The most days that one question is about."""


class UsageService:
    """How much was used, and what it costs."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def usage(
        self, first: date | None, last: date | None, by: Period, *, partner_id: str | None = None
    ) -> list[Usage]:
        """What was used on these days, ``last`` included; by default in this month, up to today.

        Raises ``XinyiError(INVALID)`` for days that aren't in order, or are too many.
        """
        first, last = self.days(first, last)
        async with self._database.read() as tx:
            counts = await self._counts(tx, first, last, partner_id)
            return summed(counts, await repo.prices(tx, partner_id), by)

    def days(self, first: date | None, last: date | None) -> tuple[date, date]:
        """The days that are meant. Raises as :meth:`usage`."""
        last = last or day_of(self._clock.now())
        first = first or last.replace(day=1)
        if not timedelta(0) <= last - first < timedelta(days=MAX_DAYS):
            raise XinyiError(Code.INVALID, f"the days are in order, and {MAX_DAYS} at most", source="from")
        return first, last

    async def _counts(self, tx: AsyncConnection, first: date, last: date, partner_id: str | None) -> list[DayCount]:
        mark = await repo.mark(tx)
        while True:
            counts = await repo.stored(tx, first, last, partner_id)
            since = mark or await repo.oldest(tx)
            for day, begin, end in days_between(since, _soon(self._clock.now())) if since else ():
                if first <= day <= last:
                    counts += await repo.counted(tx, begin, end, partner_id)
            before, mark = mark, await repo.mark(tx)
            if mark == before:  # else some were counted twice, or not at all
                return counts

    async def roll_up(self) -> None:
        """Counts what can be counted for good. Any number of workers may do so."""
        more = True
        while more:
            until = whole_seconds(self._clock.now() - GRACE)
            async with self._database.read() as tx:
                mark = await repo.mark(tx) or await repo.oldest(tx)
            if mark is None or until - mark < STEP:
                return
            async with self._database.transaction() as tx:
                await take_turns(tx, "usage")
                begin = await repo.mark(tx) or whole_seconds(mark)
                end = min(until, begin + LONGEST)
                for _, since, stop in days_between(begin, end):
                    await repo.add(tx, await repo.counted(tx, since, stop))
                if begin < end:
                    await repo.set_mark(tx, end)
                more = end < until

    async def set_price(self, tx: AsyncConnection, price: Price) -> None:
        """What one answer costs from a day on, in the caller's transaction.

        Raises ``XinyiError(INVALID)`` for a day that is over.
        """
        if price.since < day_of(self._clock.now()):
            raise XinyiError(Code.INVALID, "a price is for today and later: what was used is paid for", source="since")
        await repo.set_price(tx, price)

    async def prices(self) -> list[Price]:
        """All prices, those that are over included."""
        async with self._database.read() as tx:
            return await repo.prices(tx)


def _soon(now: datetime) -> datetime:
    """Behind what is being stored at this moment, by whatever worker's clock."""
    return now + GRACE
