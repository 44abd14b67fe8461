"""The query log (查询记录): who asked when, by whose authority and what for. It says nothing of what was answered.

What supplies or uses records keeps it for five years (``docs/reference/law.md``, L14 and L15).
"""

from datetime import datetime

from msgspec import Struct
from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..consents.tables import consents
from ..kernel.ids import first_id
from ..kernel.text import Text
from ..partners.service import PartnerService
from ..scenarios.registry import Registry
from ..subjects.service import SubjectService
from .tables import checks


class QueryFilter(Struct, frozen=True, kw_only=True):
    """Which queries: of this partner, scenario, consent and case, from ``since`` on and before ``until``."""

    partner_id: str | None = None
    scenario: str | None = None
    consent_id: str | None = None
    reference: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Query(Struct, frozen=True, kw_only=True):
    """One query. ``subject`` is the pairwise id; ``authorised_at`` when they agreed to the consent."""

    check_id: str
    at: datetime
    partner_id: str
    partner: Text
    sub_party: Text | None
    client_id: str
    subject: str | None
    by_representative: bool
    consent_id: str
    authorised_at: datetime | None
    scenario: str
    purpose: Text | None
    reference: str
    refusal: str | None


class QueryLog:
    """Reads the queries from the checks and their consents."""

    def __init__(self, *, partners: PartnerService, subjects: SubjectService, scenarios: Registry) -> None:
        self._partners = partners
        self._subjects = subjects
        self._scenarios = scenarios

    async def queries(self, tx: AsyncConnection, which: QueryFilter, *, limit: int) -> list[Query]:
        """The queries, the newest first."""
        c = checks.c
        wanted = select(
            c.id,
            c.created_at,
            c.partner_id,
            c.client_id,
            c.subject_id,
            c.consent_id,
            c.scenario_id,
            c.scenario_version,
            c.reference,
            c.refusal,
            consents.c.authorised_at,
            consents.c.representative_id,
            consents.c.sub_party_id,
        ).outerjoin(consents, consents.c.id == c.consent_id)
        conditions = [
            column == value
            for column, value in (
                (c.partner_id, which.partner_id),
                (c.scenario_id, which.scenario),
                (c.consent_id, which.consent_id),
                (c.reference, which.reference),
            )
            if value is not None
        ]
        if which.since is not None:
            conditions.append(c.id >= first_id("chk", which.since))
        if which.until is not None:
            conditions.append(c.id < first_id("chk", which.until))
        rows = (await tx.execute(wanted.where(and_(True, *conditions)).order_by(c.id.desc()).limit(limit))).all()
        acting = await self._partners.sub_parties_by_id(tx, {(row.partner_id, row.sub_party_id) for row in rows})
        names = {partner.id: partner.name for partner in await self._partners.partners(tx)}
        return [
            Query(
                check_id=row.id,
                at=row.created_at.replace(microsecond=0),
                partner_id=row.partner_id,
                partner=names[row.partner_id],
                sub_party=None if row.sub_party_id is None else acting[row.sub_party_id].name,
                client_id=row.client_id,
                subject=None if row.subject_id is None else self._subjects.pairwise(row.subject_id, row.partner_id),
                by_representative=row.representative_id is not None,
                consent_id=row.consent_id,
                authorised_at=row.authorised_at,
                scenario=row.scenario_id,
                purpose=self._purpose(row.scenario_id, row.scenario_version),
                reference=row.reference,
                refusal=row.refusal,
            )
            for row in rows
        ]

    def _purpose(self, scenario_id: str, version: int | None) -> Text | None:
        """What the scenario says that it is for; None for one that this installation doesn't know any more."""
        latest = {scenario.id: scenario for scenario in self._scenarios.all()}
        found = self._scenarios.find(scenario_id, version) or latest.get(scenario_id)
        return None if found is None else found.purpose
