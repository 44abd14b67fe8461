"""What a partner would see, shown to the subject alone: the same evaluation and the same minimising as a check.

Nothing is stored: no use is spent, the ledger gets no leaf, the partner learns nothing of it.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from ..catalogue.service import Catalogue
from ..kernel.clock import Clock, whole_seconds
from ..kernel.errors import Code, XinyiError
from ..kernel.text import Language
from ..partners.service import PartnerService
from ..records.service import RecordService
from ..scenarios.disclosure import disclose
from ..scenarios.model import Scenario
from ..scenarios.registry import Registry
from ..storage.database import Database
from ..subjects.service import SubjectService
from .model import OPEN, Consent, state
from .seen import Preview, PreviewedScenario, Seen, seen
from .service import ConsentService


class PreviewService:
    """Previews for the signed-in subject."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        consents: ConsentService,
        records: RecordService,
        scenarios: Registry,
        catalogue: Catalogue,
        partners: PartnerService,
        subjects: SubjectService,
    ) -> None:
        self._database = database
        self._clock = clock
        self._consents = consents
        self._records = records
        self._scenarios = scenarios
        self._catalogue = catalogue
        self._partners = partners
        self._subjects = subjects

    async def of_consent(self, consent_id: str, *, subject_id: str, kind: str) -> Preview:
        """What the partner would see under a consent that the subject is asked for, or gave.

        Raises ``XinyiError``: NOT_FOUND, also when they can't answer it; WRONG_STATE when it ended; CONSENT_OUTDATED or
        NOT_ENTITLED when a check would be refused for that.
        """
        async with self._database.read() as tx:
            consent = await self._consents.askable(tx, consent_id, subject_id, kind)
            at = self._clock.now()
            if state(consent, at) not in OPEN:
                raise XinyiError(Code.WRONG_STATE, f"the consent is {state(consent, at).value}")
            consented = self._scenarios.consented(
                consent.scenario_id, consent.scenario_version, consent.scenario_digest
            )
            if consented is None or self._scenarios.is_outdated(consented):
                raise XinyiError(Code.CONSENT_OUTDATED)
            client = await self._partners.client(tx, consent.client_id)
            if client is None or consent.scenario_id not in client.scenarios:
                raise XinyiError(Code.NOT_ENTITLED)
            scenario = self._scenarios.get(consent.scenario_id)
            return await self._preview(
                tx, subject_id, scenario, at, consent.units, client.scenarios[scenario.id], consent
            )

    def in_words(self, preview: Preview, language: Language) -> Seen:
        """The preview as a person reads it."""
        scenario = self._scenarios.version(preview.scenario.id, preview.scenario.version)
        return seen(preview, scenario, self._catalogue, language)

    async def of_scenario(self, scenario_id: str, *, subject_id: str, kind: str) -> Preview:
        """What any partner could see at most, if it asked. Raises ``XinyiError``: NOT_FOUND, NOT_ENTITLED."""
        scenario = self._scenarios.get(scenario_id)
        if kind != scenario.subject_kind:
            raise XinyiError(Code.NOT_ENTITLED, f"the scenario is for a {scenario.subject_kind.value}")
        async with self._database.read() as tx:
            return await self._preview(tx, subject_id, scenario, self._clock.now(), scenario.units, None, None)

    async def _preview(
        self,
        tx: AsyncConnection,
        subject_id: str,
        scenario: Scenario,
        at: datetime,
        consent_units: Collection[str],
        client_units: Collection[str] | None,
        consent: Consent | None,
    ) -> Preview:
        pair = (subject_id, scenario.id)
        records = await self._records.load(tx, {pair}, scenario.record_types)
        disclosure = disclose(scenario, records[pair], at, consent_units, client_units)
        as_of = whole_seconds(at)
        expires_at = None if consent is None else consent.expires_at
        return Preview(
            scenario=PreviewedScenario(scenario.id, scenario.version, scenario.digest),
            subject=None if consent is None else self._subjects.pairwise(subject_id, consent.partner_id),
            outcome=disclosure.outcome,
            criteria=disclosure.criteria,
            disclosed=disclosure.disclosed,
            as_of=as_of,
            valid_until=min(
                as_of + scenario.answer_ttl, expires_at or as_of + timedelta(days=scenario.consent.max_days)
            ),
        )
