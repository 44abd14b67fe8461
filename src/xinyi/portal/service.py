"""What a subject sees of their own, gathered from the rooms that keep it."""

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from ..catalogue.service import Catalogue
from ..checks import repo as checks_repo
from ..consents.model import Consent
from ..consents.service import ConsentService
from ..kernel.clock import Clock, whole_seconds
from ..kernel.text import Text
from ..ledger.service import LedgerService
from ..partners.model import SubParty
from ..partners.service import PartnerService
from ..records.disputes import DisputeService
from ..records.model import Dispute, Withholding
from ..records.service import RecordService
from ..scenarios.registry import Registry
from ..storage.database import Database
from ..subjects.model import SubjectKind
from ..subjects.service import SubjectService
from . import repo
from .access import AccessLog
from .model import (
    Export,
    Inbox,
    MyAsk,
    MyConsent,
    MyDispute,
    MyRecord,
    MySuppression,
    MyWithholding,
    Named,
    Preferences,
    my_consent,
    my_dispute,
    my_record,
    named,
)
from .repo import Wish


class PortalService:
    """Reads for the portal's pages and for ``/v1/me``, and what a subject wants of the portal."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        consents: ConsentService,
        partners: PartnerService,
        subjects: SubjectService,
        scenarios: Registry,
        records: RecordService,
        disputes: DisputeService,
        catalogue: Catalogue,
        ledger: LedgerService,
        access: AccessLog,
    ) -> None:
        self._database = database
        self._clock = clock
        self._consents = consents
        self._partners = partners
        self._subjects = subjects
        self._scenarios = scenarios
        self._records = records
        self._disputes = disputes
        self._catalogue = catalogue
        self._ledger = ledger
        self._access = access

    async def consents(self, subject_id: str) -> list[MyConsent]:
        """The consents that the subject answered, newest first."""
        return await self._told(await self._consents.of_subject(subject_id), subject_id)

    async def consent(self, consent: Consent, subject_id: str) -> MyConsent:
        """One consent, as its subject sees it."""
        return (await self._told([consent], subject_id))[0]

    async def records(self, subject_id: str) -> list[MyRecord]:
        """Everything that is recorded about the subject, newest observation first."""
        async with self._database.read() as tx:
            found = await self._records.of_subject(tx, subject_id)
            sources = {source.id: source for source in await self._partners.sources(tx)}
        return [
            my_record(record, self._catalogue.get(record.record_type), sources[record.source_id]) for record in found
        ]

    async def disputes(self, subject_id: str) -> list[MyDispute]:
        """What the subject contests or contested, newest first."""
        async with self._database.read() as tx:
            found = await self._disputes.of_subject(tx, subject_id)
        return [await self.dispute(dispute) for dispute in found]

    async def dispute(self, dispute: Dispute) -> MyDispute:
        """One dispute, as its subject sees it."""
        async with self._database.read() as tx:
            source = await self._partners.source(tx, dispute.source_id)
        return my_dispute(dispute, self._catalogue.get(dispute.record_type), source)

    async def withholdings(self, subject_id: str) -> list[MyWithholding]:
        """What the subject keeps from which scenario."""
        async with self._database.read() as tx:
            found = await self._records.withholdings_of(tx, subject_id)
        return [self._withholding(each) for each in found]

    async def preferences(self, subject_id: str) -> Preferences:
        """What the subject wants; unless they said so, no notices."""
        async with self._database.read() as tx:
            wish = await repo.wish(tx, subject_id)
        return Preferences(wish is not None and wish.notice_after_use)

    async def prefer(self, subject_id: str, preferences: Preferences) -> None:
        """Keeps what the subject wants from now on: of earlier uses no notice is given."""
        async with self._database.transaction() as tx:
            newest = await self._newest(tx, subject_id)
            wish = await repo.wish(tx, subject_id) or Wish(subject_id, False, newest, newest)
            if preferences.notice_after_use and not wish.notice_after_use:
                wish = replace(wish, seen=newest, mailed=newest)
            await repo.keep(tx, replace(wish, notice_after_use=preferences.notice_after_use))

    async def inbox(self, subject_id: str) -> Inbox:
        """What waits for the subject."""
        async with self._database.read() as tx:
            awaiting = await self._consents.awaiting(tx, subject_id)
            partners = {
                partner_id: await self._partners.partner(tx, partner_id)
                for partner_id in {each.consent.partner_id for each in awaiting}
            }
            acting = await self._acting(tx, [each.consent for each in awaiting])
            wish = await repo.wish(tx, subject_id)
            told = wish is not None and wish.notice_after_use
            new_uses = 0 if wish is None or not told else await repo.uses_since(tx, subject_id, wish.seen)
        return Inbox(
            asks=tuple(
                MyAsk(
                    consent_id=each.consent.id,
                    partner=Named(each.consent.partner_id, partners[each.consent.partner_id].name),
                    sub_party=named(acting.get(each.consent.sub_party_id or "")),
                    scenario=self._scenario(each.consent),
                    extra_days=None if each.extension is None else each.extension.days,
                    until=each.until,
                    reminded_at=each.reminded_at,
                    page=each.path,
                )
                for each in awaiting
            ),
            new_uses=new_uses,
        )

    async def mark_seen(self, subject_id: str) -> None:
        """The subject has read about their newest checks."""
        async with self._database.transaction() as tx:
            wish = await repo.wish(tx, subject_id)
            if wish is not None:
                await repo.keep(tx, replace(wish, seen=await self._newest(tx, subject_id)))

    async def export(self, subject_id: str) -> Export:
        """Everything that is kept about the subject."""
        async with self._database.read() as tx:
            identifier = await self._subjects.reveal(tx, subject_id)
            email = await self._subjects.email_of(tx, subject_id)
        return Export(
            made_at=whole_seconds(self._clock.now()),
            kind=SubjectKind(identifier.kind),
            identifier=identifier.value,
            email=email,
            preferences=await self.preferences(subject_id),
            consents=tuple(await self.consents(subject_id)),
            records=tuple(await self.records(subject_id)),
            disputes=tuple(await self.disputes(subject_id)),
            suppressions=tuple(await self._suppressions(subject_id)),
            withholdings=tuple(await self.withholdings(subject_id)),
            access_log=tuple(await self._access.all(subject_id)),
            ledger_keys=tuple(self._ledger.jwks()["keys"]),
        )

    async def _suppressions(self, subject_id: str) -> list[MySuppression]:
        async with self._database.read() as tx:
            wishes = await self._records.wishes_of(tx, subject_id)
        return [
            MySuppression(Named(record_type.code, record_type.name), whole_seconds(wish.created_at))
            for wish in wishes
            for record_type in [self._catalogue.get(wish.record_type)]
        ]

    async def _acting(self, tx: AsyncConnection, consents: Sequence[Consent]) -> dict[str, SubParty]:
        """The sub-parties that the consents are given to, by id."""
        return await self._partners.sub_parties_by_id(tx, {(each.partner_id, each.sub_party_id) for each in consents})

    async def _newest(self, tx: AsyncConnection, subject_id: str) -> str:
        """The subject's newest check, or what sorts before every one."""
        return next((row.id for row in await checks_repo.of_subject(tx, subject_id, limit=1)), "")

    def _scenario(self, consent: Consent) -> Named:
        scenario = self._scenarios.version(consent.scenario_id, consent.scenario_version)
        return Named(scenario.id, scenario.name)

    def _withholding(self, withholding: Withholding) -> MyWithholding:
        """By its names; a scenario that is out of use by now has only its id."""
        names = {scenario.id: scenario.name for scenario in self._scenarios.all()}
        scenario = names.get(withholding.scenario_id, Text(withholding.scenario_id, withholding.scenario_id))
        record_type = self._catalogue.get(withholding.record_type)
        return MyWithholding(Named(withholding.scenario_id, scenario), Named(record_type.code, record_type.name))

    async def _told(self, consents: Sequence[Consent], subject_id: str) -> list[MyConsent]:
        async with self._database.read() as tx:
            partners = {
                partner_id: await self._partners.partner(tx, partner_id)
                for partner_id in {consent.partner_id for consent in consents}
            }
            acting = await self._acting(tx, consents)
            last_uses: dict[str, datetime] = await checks_repo.last_uses(tx, subject_id)
        at = self._clock.now()
        return [
            my_consent(
                consent,
                partners[consent.partner_id],
                acting.get(consent.sub_party_id or ""),
                self._consents.representative(consent),
                self._scenarios.version(consent.scenario_id, consent.scenario_version),
                last_uses.get(consent.id),
                at,
            )
            for consent in consents
        ]
