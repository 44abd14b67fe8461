"""What a subject sees of their own, gathered from the rooms that keep it."""

from ..catalogue.service import Catalogue
from ..consents.model import Consent
from ..consents.service import ConsentService
from ..kernel.clock import Clock
from ..partners.service import PartnerService
from ..records.service import RecordService
from ..scenarios.registry import Registry
from ..storage.database import Database
from .model import MyConsent, MyRecord, my_consent, my_record


class PortalService:
    """Reads for the portal's pages and for ``/v1/me``."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        consents: ConsentService,
        partners: PartnerService,
        scenarios: Registry,
        records: RecordService,
        catalogue: Catalogue,
    ) -> None:
        self._database = database
        self._clock = clock
        self._consents = consents
        self._partners = partners
        self._scenarios = scenarios
        self._records = records
        self._catalogue = catalogue

    async def consents(self, subject_id: str) -> list[MyConsent]:
        """The consents that the subject answered, newest first."""
        return await self._told(await self._consents.of_subject(subject_id))

    async def consent(self, consent: Consent) -> MyConsent:
        """One consent, as its subject sees it."""
        return (await self._told([consent]))[0]

    async def records(self, subject_id: str) -> list[MyRecord]:
        """Everything that is recorded about the subject, newest observation first."""
        async with self._database.read() as tx:
            found = await self._records.of_subject(tx, subject_id)
        return [my_record(record, self._catalogue.get(record.record_type)) for record in found]

    async def _told(self, consents: list[Consent]) -> list[MyConsent]:
        async with self._database.read() as tx:
            partners = {
                partner_id: await self._partners.partner(tx, partner_id)
                for partner_id in {consent.partner_id for consent in consents}
            }
        at = self._clock.now()
        return [
            my_consent(
                consent,
                partners[consent.partner_id],
                self._scenarios.version(consent.scenario_id, consent.scenario_version),
                at,
            )
            for consent in consents
        ]
