"""A partner's own checks, the newest first. Answers stay where they are: a list tells what each came to, if it may."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import Meta, Struct
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.errors import Code
from ..kernel.ids import first_id
from ..scenarios.model import Outcome
from ..storage.database import Database
from .model import Answered, Reference
from .service import CheckService
from .tables import checks

LOOKS_THROUGH: Final = 10_000
"""The most checks that one page looks through. What a filter asks for has no index: writing checks is what must be
fast. A page may therefore be short, or empty, and more come behind it."""


class Filter(Struct, frozen=True, kw_only=True):
    """Which checks: those of this scenario, consent and reference, made ``since`` and before ``until``."""

    scenario: str | None = None
    consent_id: str | None = None
    reference: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class CheckSummary(Struct, frozen=True, kw_only=True):
    """A check without its answer: ``outcome``, or the ``refusal`` that reading it meets now."""

    id: Annotated[str, Meta(description="The check.", examples=["chk_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    scenario: Annotated[str, Meta(description="The scenario's id.", examples=["bike-deposit"])]
    consent_id: Annotated[str, Meta(description="The consent.", examples=["cns_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    reference: Reference
    outcome: Annotated[Outcome, Meta(description="What it came to, while its answer is given again.")] | None
    refusal: Annotated[Code, Meta(description="Why it was refused, or isn't given again.")] | None
    created_at: Annotated[datetime, Meta(tz=True, description="When it was made.")]


class Page(Struct, frozen=True):
    """Some checks, and the id to go on behind; None at the end."""

    checks: list[CheckSummary]
    after: str | None


class CheckList:
    """Lists checks as a client of their partner is told them."""

    def __init__(self, database: Database, service: CheckService) -> None:
        self._database = database
        self._service = service

    async def page(self, *, client_id: str, partner_id: str, which: Filter, after: str | None, limit: int) -> Page:
        """The next checks behind the id ``after``, the newest first."""
        async with self._database.read() as tx:
            window = _window(partner_id, which, after)
            found, last = await _found(tx, window, which, limit)
            results = await self._service.again(tx, [row.id for row in found], client_id=client_id)
        page = []
        for row in found:
            result = results[row.id]
            answered = isinstance(result, Answered)
            page.append(
                CheckSummary(
                    id=row.id,
                    scenario=row.scenario_id,
                    consent_id=row.consent_id,
                    reference=row.reference,
                    outcome=Outcome(row.outcome) if answered and row.outcome is not None else None,
                    refusal=None if isinstance(result, Answered) else result.code,
                    created_at=row.created_at.replace(microsecond=0),
                )
            )
        return Page(page, last)


class _Row(Struct, frozen=True):
    id: str
    scenario_id: str
    consent_id: str
    reference: str
    outcome: str | None
    created_at: datetime


def _window(partner_id: str, which: Filter, after: str | None) -> Select[Any]:
    """The checks that this page looks through."""
    columns = (checks.c[name] for name in _Row.__struct_fields__)
    wanted = select(*columns).where(checks.c.partner_id == partner_id).order_by(checks.c.id.desc())
    if after is not None:
        wanted = wanted.where(checks.c.id < after)
    if which.since is not None:
        wanted = wanted.where(checks.c.id >= first_id("chk", which.since))
    if which.until is not None:
        wanted = wanted.where(checks.c.id < first_id("chk", which.until))
    return wanted


async def _found(tx: AsyncConnection, window: Select[Any], which: Filter, limit: int) -> tuple[list[_Row], str | None]:
    """The next rows that match, and the id to go on behind."""
    names = {"scenario_id": which.scenario, "consent_id": which.consent_id, "reference": which.reference}
    given = {name: value for name, value in names.items() if value is not None}
    if not given:
        rows = _rows(await tx.execute(window.limit(limit + 1)))
        return rows[:limit], rows[limit - 1].id if len(rows) > limit else None
    seen = window.limit(LOOKS_THROUGH).subquery()
    wanted = select(seen).where(*(seen.c[name] == value for name, value in given.items())).order_by(seen.c.id.desc())
    rows = _rows(await tx.execute(wanted.limit(limit + 1)))
    if len(rows) > limit:
        return rows[:limit], rows[limit - 1].id
    last = window.with_only_columns(checks.c.id).offset(LOOKS_THROUGH - 1).limit(1)
    return rows, (await tx.execute(last)).scalar_one_or_none()


def _rows(rows: Iterable[Sequence[Any]]) -> list[_Row]:
    return [_Row(*row) for row in rows]
