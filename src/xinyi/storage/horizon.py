"""Since when the short-lived state knows everything: what it may have forgotten is never accepted again.

A proof that was accepted is remembered in the short-lived state. When that state is lost (a restart, a flush, a
failover), a new one begins, and whatever was made before that moment is refused. That leaves what had been accepted
although it was dated ahead of the clock: how far ahead is noted here, in the database, before it is accepted.
"""

import math
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import CheckConstraint, Column, SmallInteger, Table, select, update

from ..kernel.clock import Clock, whole_seconds
from .database import Database
from .sql import insert_ignoring
from .types import UtcDateTime, metadata

replay_horizon = Table(
    "replay_horizon",
    metadata,
    Column("slot", SmallInteger, primary_key=True, autoincrement=False),
    Column("until", UtcDateTime, nullable=False),
    CheckConstraint("slot = 1", name="single"),
)
"""One row, made when the first state begins. Nothing that was accepted is dated after ``until`` and after its day."""

_STEP: Final = timedelta(seconds=5)
"""How far ahead is noted at once, so that a caller whose clock is fast costs a write now and then."""


class Horizon:
    """``margin``: how far the clocks of those who share the state may be apart."""

    def __init__(self, database: Database, clock: Clock, *, margin: timedelta = timedelta(0)) -> None:
        self._database = database
        self._clock = clock
        self._margin = margin
        self._noted: datetime | None = None

    async def begin(self) -> datetime:
        """From when on a state that begins now can be trusted, in whole seconds.

        The very first state of an installation is trusted from its first second on, since nothing was accepted before.
        Raises ``XinyiError(UNAVAILABLE)`` when the database can't be reached.
        """
        now = self._clock.now()
        async with self._database.transaction() as tx:
            first = insert_ignoring(tx, replay_horizon, ["slot"]).values(slot=1, until=whole_seconds(now))
            if (await tx.execute(first)).rowcount:
                return whole_seconds(now)
            until: datetime = (await tx.execute(select(replay_horizon.c.until))).scalar_one()
        return max(_next_second(now + self._margin), until + timedelta(seconds=1))

    async def note(self, made: float) -> None:
        """Call before accepting what is dated ``made`` (seconds since 1970). Costs nothing unless that lies ahead.

        Raises ``XinyiError(UNAVAILABLE)`` when the database can't be reached.
        """
        if made <= self._clock.now().timestamp():
            return
        date = datetime.fromtimestamp(math.ceil(made), UTC)
        if self._noted is not None and date <= self._noted:
            return
        ahead = date + _STEP
        until = replay_horizon.c.until
        async with self._database.transaction() as tx:
            await tx.execute(update(replay_horizon).where(until < ahead).values(until=ahead))
        self._noted = ahead


def _next_second(moment: datetime) -> datetime:
    return datetime.fromtimestamp(math.ceil(moment.timestamp()), UTC)
