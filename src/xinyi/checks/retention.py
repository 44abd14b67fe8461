"""What is kept of answers, and for how long.

What an answer said is erased once the time is over for which its scenario lets the partner keep it (PIPL 19), and
after the consent was withdrawn (PIPL 47). That a check was made stays: when, by whom, by whose consent and what for,
for five years, which is the duty to keep a query log (L14). After that the row goes too, and the consent as long after
its end. Receipts that somebody holds verify for ever: the ledger's leaves stay.

Erasing touches the ledger's entries, which the server's own role can't: run it as the tables' owner.
"""

from datetime import timedelta
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Select, and_, delete, exists, false, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..consents.model import EndReason
from ..consents.tables import consents, copies, extensions, mails
from ..kernel.clock import Clock
from ..ledger.service import LedgerService
from ..scenarios.registry import Registry
from ..storage import idempotency
from ..storage.database import Database
from ..storage.kept import AT_ONCE as KEYS_AT_ONCE
from ..storage.kept import AUDIT_KEPT, id_after
from .tables import checks

AT_ONCE: Final = 200
"""Rows in one transaction: the ledger's head is locked meanwhile."""

_OF_WITHDRAWALS: Final = (
    EndReason.WITHDRAWN_BY_SUBJECT.value,
    EndReason.GIVEN_UP_BY_PARTNER.value,
    EndReason.ENDED_BY_OPERATOR.value,
)


class Swept(Struct, frozen=True):
    """What a sweep did: answers whose content it erased, and rows that it took away."""

    erased: int
    removed: int


class Retention:
    """Ends what has been kept long enough."""

    def __init__(self, database: Database, clock: Clock, scenarios: Registry, ledger: LedgerService) -> None:
        self._database = database
        self._clock = clock
        self._scenarios = scenarios
        self._ledger = ledger

    async def sweep(self) -> Swept:
        """Erases and removes everything that is due, a part at a time. Running it again is harmless."""
        erased = await self._erase(_withdrawn()) + await self._erase(await self._expired())
        removed = await self._remove_keys()
        while some := await self._remove_checks():
            removed += some
        while some := await self._remove_consents():
            removed += some
        return Swept(erased, removed)

    async def _erase(self, due: Select[Any]) -> int:
        """Erases what these checks answered, in one walk along their ids: those done with are most of the table."""
        erased, last = 0, ""
        while True:
            async with self._database.transaction() as tx:
                rows = await tx.execute(due.where(checks.c.id > last).order_by(checks.c.id).limit(AT_ONCE))
                some = list(rows.scalars())
                if not some:
                    return erased
                await tx.execute(update(checks).where(checks.c.id.in_(some)).values(body=None))
                await self._ledger.erase(tx, some, self._clock.now())
            erased, last = erased + len(some), some[-1]

    async def _remove_keys(self) -> int:
        """Idempotency keys, before what they name: none names a check that isn't there."""
        before, removed, last = self._clock.now() - AUDIT_KEPT, 0, ("", "")
        while True:
            async with self._database.transaction() as tx:
                some, end = await idempotency.forget_some(tx, before, KEYS_AT_ONCE, last)
            if end is None:
                return removed
            removed, last = removed + some, end

    async def _remove_checks(self) -> int:
        now = self._clock.now()
        before = now - AUDIT_KEPT
        async with self._database.transaction() as tx:
            made = checks.c.id < id_after("chk", before)
            query = select(checks.c.id).where(made, checks.c.created_at < before).order_by(checks.c.id)
            due = list((await tx.execute(query.limit(AT_ONCE))).scalars())
            if due:
                await tx.execute(delete(checks).where(checks.c.id.in_(due)))
                await self._ledger.erase(tx, due, now)
        return len(due)

    async def _remove_consents(self) -> int:
        """Consents are kept as long after their end as the checks under them, which went before."""
        now = self._clock.now()
        before = now - AUDIT_KEPT
        made = consents.c.id < id_after("cns", before)  # what ended before was made before
        ended_at = func.coalesce(consents.c.ended_at, consents.c.expires_at, consents.c.request_expires_at)
        used = exists().where(checks.c.subject_id == consents.c.subject_id, checks.c.consent_id == consents.c.id)
        query = select(consents.c.id).where(made, ended_at < before, ~used).order_by(consents.c.id)
        async with self._database.transaction() as tx:
            due = list((await tx.execute(query.limit(AT_ONCE))).scalars())
            if due:
                for table in (extensions, copies, mails):
                    await tx.execute(delete(table).where(table.c.consent_id.in_(due)))
                await tx.execute(delete(consents).where(consents.c.id.in_(due)))
                await self._ledger.erase(tx, due, now)
        return len(due)

    async def _expired(self) -> Select[Any]:
        """The checks whose answers their scenario lets be kept no longer."""
        now = self._clock.now()
        async with self._database.read() as tx:
            until = {version: now - days for version, days in (await self._kept_for(tx)).items()}
        over = (
            and_(
                checks.c.scenario_id == scenario_id,
                checks.c.scenario_version == version,
                checks.c.created_at <= moment,
            )
            for (scenario_id, version), moment in until.items()
        )
        made = checks.c.id < id_after("chk", max(until.values(), default=now))
        return select(checks.c.id).where(made, checks.c.body.is_not(None), or_(false(), *over))

    async def _kept_for(self, tx: AsyncConnection) -> dict[tuple[str, int], timedelta]:
        """How long each scenario version lets its answers be kept; one whose file is gone, no longer."""
        known = select(checks.c.scenario_id, checks.c.scenario_version, func.count()).where(checks.c.body.is_not(None))
        rows = await tx.execute(known.group_by(checks.c.scenario_id, checks.c.scenario_version))
        found: dict[tuple[str, int], timedelta] = {}
        for scenario_id, version, _ in rows:
            scenario = self._scenarios.find(scenario_id, version)
            found[scenario_id, version] = timedelta(days=0 if scenario is None else scenario.retention_days)
        return found


def _withdrawn() -> Select[Any]:
    """The checks whose answers go with the consent that was withdrawn."""
    given = and_(consents.c.subject_id == checks.c.subject_id, consents.c.id == checks.c.consent_id)
    query = select(checks.c.id).join(consents, given)
    return query.where(checks.c.body.is_not(None), consents.c.end_reason.in_(_OF_WITHDRAWALS))
