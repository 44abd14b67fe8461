"""What a partner would see, shown to the subject alone: the same evaluation and the same minimising as a check.

Nothing is stored: no use is spent, the ledger gets no leaf, the partner learns nothing of it.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.clock import Clock, whole_seconds
from ..kernel.errors import Code, XinyiError
from ..partners.service import PartnerService
from ..records.service import RecordService
from ..scenarios.disclosure import CriterionOutcome, disclose
from ..scenarios.model import Outcome, Scenario, Value
from ..scenarios.registry import Registry
from ..storage.database import Database
from ..subjects.service import SubjectService
from .model import OPEN, Consent, state
from .service import ConsentService


class PreviewedScenario(Struct, frozen=True):
    """The version of a scenario that a check would evaluate now."""

    id: Annotated[str, Meta(description="The scenario's id.", examples=["bike-deposit"])]
    version: Annotated[int, Meta(ge=1, description="Its version.", examples=[1])]
    digest: Annotated[str, Meta(description="SHA-256 over its canonical form.", examples=["sha-256:8Vq3…"])]


class Preview(Struct, frozen=True, kw_only=True):
    """What a check at this moment would tell the partner of the subject, member for member."""

    scenario: PreviewedScenario
    subject: Annotated[str, Meta(description="The subject, as this partner alone knows them.")] | None
    outcome: Annotated[Outcome, Meta(description="Whether the scenario's rule is met.")]
    criteria: Annotated[tuple[CriterionOutcome, ...], Meta(description="The outcomes the scenario discloses.")]
    disclosed: Annotated[
        dict[str, dict[str, Value]],
        Meta(description="By criterion and field: the values and bands that are disclosed."),
    ]
    as_of: Annotated[datetime, Meta(tz=True, description="When the records were looked at.")]
    valid_until: Annotated[
        datetime, Meta(tz=True, description="`as_of` plus the scenario's answer_ttl, within the consent.")
    ]


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
        partners: PartnerService,
        subjects: SubjectService,
    ) -> None:
        self._database = database
        self._clock = clock
        self._consents = consents
        self._records = records
        self._scenarios = scenarios
        self._partners = partners
        self._subjects = subjects

    async def of_consent(self, consent_id: str, *, subject_id: str, kind: str) -> Preview:
        """What the partner would see under a consent that the subject is asked for, or gave.

        Raises ``XinyiError``: NOT_FOUND; NOT_ENTITLED when the subject can't answer it; WRONG_STATE when it ended;
        CONSENT_OUTDATED when a check would be refused for that.
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
