"""Writing down what the operator does, and reading it."""

from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.clock import Clock, whole_seconds
from ..kernel.errors import Code, XinyiError
from ..kernel.ids import first_id, new_id
from .model import Act, Entry
from .tables import operator_acts

MAX_REASON: Final = 500
"""Characters of a reason."""
_MAX_BY: Final = 100


class Audit:
    """The operator's acts. Every method works inside the caller's unit of work."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def note(self, tx: AsyncConnection, act: Act, about: str, *, by: str, reason: str) -> None:
        """Writes an act down, in the transaction that does it. Raises ``XinyiError(INVALID)`` for the reason."""
        if not 1 <= len(reason.strip()) <= MAX_REASON or not reason.isprintable():
            raise XinyiError(Code.INVALID, f"a reason has 1 to {MAX_REASON} printable characters", source="reason")
        now = self._clock.now()
        entry = Entry(new_id("act", now), whole_seconds(now), by[:_MAX_BY], act, about, reason.strip())
        await tx.execute(insert(operator_acts), msgspec.structs.asdict(entry))

    async def acts(
        self,
        tx: AsyncConnection,
        *,
        about: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int,
    ) -> list[Entry]:
        """The acts, the newest first: those about one thing, from ``since`` on and before ``until``."""
        wanted = select(*(operator_acts.c[name] for name in Entry.__struct_fields__))
        if about is not None:
            wanted = wanted.where(operator_acts.c.about == about)
        if since is not None:
            wanted = wanted.where(operator_acts.c.id >= first_id("act", since))
        if until is not None:
            wanted = wanted.where(operator_acts.c.id < first_id("act", until))
        rows = await tx.execute(wanted.order_by(operator_acts.c.id.desc()).limit(limit))
        return [msgspec.convert(dict(zip(Entry.__struct_fields__, row, strict=True)), Entry) for row in rows]
