"""The life of a consent. Every change locks the row, looks at the state again, and leaves one leaf in the ledger."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from ..catalogue.service import Catalogue
from ..kernel.canonical import b64url, canonical_json
from ..kernel.clock import Clock, whole_seconds
from ..kernel.errors import Code, XinyiError
from ..kernel.ids import is_id, new_id
from ..kernel.text import Language
from ..ledger.model import NewEntry
from ..ledger.service import LedgerService
from ..partners.model import Client
from ..partners.service import PartnerService, require_active
from ..scenarios.model import Scenario
from ..scenarios.registry import Registry
from ..storage.database import Database
from ..storage.sql import take_turns
from ..subjects.service import SubjectService
from . import repo
from .model import ANSWER_WITHIN, OPEN, Consent, ConsentState, EndReason, Event, Party, state
from .notice import Notice, Operator, notice

_WITHDRAWALS = {
    Party.SUBJECT: EndReason.WITHDRAWN_BY_SUBJECT,
    Party.PARTNER: EndReason.GIVEN_UP_BY_PARTNER,
    Party.OPERATOR: EndReason.ENDED_BY_OPERATOR,
}


class ConsentService:
    """Asks for consents, and lets those answer and end them who may."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        scenarios: Registry,
        catalogue: Catalogue,
        subjects: SubjectService,
        partners: PartnerService,
        ledger: LedgerService,
        operator: Operator,
    ) -> None:
        self._database = database
        self._clock = clock
        self._scenarios = scenarios
        self._catalogue = catalogue
        self._subjects = subjects
        self._partners = partners
        self._ledger = ledger
        self._operator = operator

    def state(self, consent: Consent) -> ConsentState:
        """The consent's state at this moment."""
        return state(consent, self._clock.now())

    async def request(
        self, tx: AsyncConnection, client: Client, scenario: Scenario, named_subject: str | None = None
    ) -> Consent:
        """Asks for a consent to one scenario, within the caller's transaction; call it last, it locks the ledger.

        ``named_subject`` is the key of the identifier that the partner named (``SubjectService.key_of``): it isn't
        looked up, so that known and unknown subjects are asked for alike.
        Raises ``XinyiError``: PARTNER_SUSPENDED, or NOT_ENTITLED when the client wasn't given the scenario.
        """
        require_active(client)
        if client.partner_id is None or scenario.id not in client.scenarios:
            raise XinyiError(Code.NOT_ENTITLED)
        allowed = client.scenarios[scenario.id]
        now = whole_seconds(self._clock.now())
        consent = Consent(
            id=new_id("cns", self._clock.now()),
            partner_id=client.partner_id,
            client_id=client.id,
            scenario_id=scenario.id,
            scenario_version=scenario.version,
            scenario_digest=scenario.digest,
            units=tuple(sorted(scenario.units if allowed is None else scenario.units & allowed)),
            form=scenario.consent.form,
            uses=scenario.consent.uses,
            named_subject=named_subject,
            created_at=now,
            request_expires_at=now + ANSWER_WITHIN,
        )
        await repo.add(tx, consent)
        await self._log(tx, now, (Event.REQUESTED, consent))
        return consent

    async def show(self, consent_id: str, *, subject_id: str, kind: str, language: Language) -> tuple[Consent, Notice]:
        """What the subject is asked, before they answer.

        Raises ``XinyiError``: NOT_FOUND; NOT_ENTITLED when this subject can't answer; WRONG_STATE once it is answered
        or expired.
        """
        async with self._database.read() as tx:
            consent = await self.find(tx, consent_id)
            await self._check_answerer(tx, consent, subject_id, kind)
            _require(self.state(consent), ConsentState.AWAITING_AUTHORISATION)
            return consent, await self.notice(tx, consent, language)

    async def notice(self, tx: AsyncConnection, consent: Consent, language: Language) -> Notice:
        """What the subject is, or was, told about this consent."""
        return notice(
            self._scenario(consent),
            await self._partners.partner(tx, consent.partner_id),
            consent,
            self._catalogue,
            self._operator,
            language,
        )

    async def authorise(
        self,
        consent_id: str,
        *,
        subject_id: str,
        kind: str,
        notice_digest: str,
        language: Language,
        representative_id: str | None = None,
    ) -> Consent:
        """The subject agrees to what the notice with this digest told in this language.

        A recurring consent that they gave the same client for the same scenario before has had its day: it ends with
        this. Raises ``XinyiError``: NOT_FOUND; NOT_ENTITLED, for whatever reason this subject can't answer; WRONG_STATE
        when it was answered or expired, or when the notice is another one by now; PARTNER_SUSPENDED.
        """
        async with self._database.transaction() as tx:
            asked = await self.find(tx, consent_id)
            await self._check_answerer(tx, asked, subject_id, kind)
            # Two answers of one subject must not each miss the other; and locks are taken in the order of ids.
            await take_turns(tx, f"consents of {subject_id}")
            earlier = await repo.in_force(tx, subject_id, asked.client_id, asked.scenario_id)
            locked = await repo.lock(tx, [asked.id, *earlier])
            consent = locked.pop(asked.id)
            now = whole_seconds(self._clock.now())
            _require(state(consent, now), ConsentState.AWAITING_AUTHORISATION)
            client = await self._partners.client(tx, consent.client_id)
            if client is None:
                raise XinyiError(Code.NOT_ENTITLED)
            require_active(client)
            if notice_digest != (await self.notice(tx, consent, language)).digest:
                raise XinyiError(Code.WRONG_STATE, "the notice has changed: show it again")
            given = replace(
                consent,
                subject_id=subject_id,
                representative_id=representative_id,
                language=language,
                notice_digest=notice_digest,
                authorised_at=now,
                expires_at=now + timedelta(days=self._scenario(consent).consent.max_days),
            )
            superseded = [
                _withdrawn(each, Party.SUBJECT, EndReason.SUPERSEDED, now)
                for each in locked.values()
                if state(each, now) in OPEN
            ]
            await self._store(tx, now, *((Event.WITHDRAWN, each) for each in superseded), (Event.AUTHORISED, given))
            return given

    async def reject(self, consent_id: str, *, subject_id: str, kind: str) -> Consent:
        """The subject refuses. Raises as :meth:`authorise`."""
        async with self._database.transaction() as tx:
            consent = await self._locked(tx, consent_id)
            await self._check_answerer(tx, consent, subject_id, kind)
            now = whole_seconds(self._clock.now())
            _require(state(consent, now), ConsentState.AWAITING_AUTHORISATION)
            rejected = replace(
                consent,
                subject_id=subject_id,
                ended_at=now,
                ended_as=ConsentState.REJECTED,
                ended_by=Party.SUBJECT,
                end_reason=EndReason.REFUSED,
            )
            await self._store(tx, now, (Event.REJECTED, rejected))
            return rejected

    async def withdraw(self, consent_id: str, by: Party, who: str) -> Consent:
        """Ends the consent at once: no check that starts after this returns is answered under it.

        ``who`` is the subject's, the partner's or the operator's id. A consent that is withdrawn already stays as it
        is. Raises ``XinyiError``: NOT_FOUND when it isn't theirs, WRONG_STATE when it ended in another way.
        """
        async with self._database.transaction() as tx:
            consent = await self._locked(tx, consent_id, by, who)
            now = whole_seconds(self._clock.now())
            present = state(consent, now)
            if present is ConsentState.WITHDRAWN:
                return consent
            _require(present, *OPEN)
            withdrawn = _withdrawn(consent, by, _WITHDRAWALS[by], now)
            await self._store(tx, now, (Event.WITHDRAWN, withdrawn))
            return withdrawn

    async def pause(self, consent_id: str, subject_id: str) -> Consent:
        """Checks are refused until the subject resumes. Raises ``XinyiError``: NOT_FOUND, WRONG_STATE."""
        async with self._database.transaction() as tx:
            consent = await self._locked(tx, consent_id, Party.SUBJECT, subject_id)
            now = whole_seconds(self._clock.now())
            _require(state(consent, now), ConsentState.AUTHORISED)
            paused = replace(consent, paused_at=now)
            await self._store(tx, now, (Event.PAUSED, paused))
            return paused

    async def resume(self, consent_id: str, subject_id: str) -> Consent:
        """Undoes a pause; the consent ends when it would have ended. Raises ``XinyiError``: NOT_FOUND, WRONG_STATE."""
        async with self._database.transaction() as tx:
            consent = await self._locked(tx, consent_id, Party.SUBJECT, subject_id)
            now = whole_seconds(self._clock.now())
            _require(state(consent, now), ConsentState.PAUSED)
            resumed = replace(consent, paused_at=None)
            await self._store(tx, now, (Event.RESUMED, resumed))
            return resumed

    async def find(self, tx: AsyncConnection, consent_id: str) -> Consent:
        """The consent, whoever's it is. Raises ``XinyiError(NOT_FOUND)``."""
        found = (await repo.load(tx, [consent_id])).get(consent_id) if is_id("cns", consent_id) else None
        if found is None:
            raise XinyiError(Code.NOT_FOUND)
        return found

    async def of_partner(self, consent_id: str, partner_id: str) -> Consent:
        """A partner's own consent. Raises ``XinyiError(NOT_FOUND)``, alike for what is another's and what isn't."""
        async with self._database.read() as tx:
            return _owned(await self.find(tx, consent_id), Party.PARTNER, partner_id)

    async def of_subject(self, subject_id: str) -> list[Consent]:
        """The consents that the subject answered, newest first."""
        async with self._database.read() as tx:
            return await repo.of_subject(tx, subject_id)

    def pairwise(self, consent: Consent) -> str | None:
        """The subject as the partner knows them, once they have agreed: a refusal doesn't tell who refused."""
        if consent.subject_id is None or not consent.given:
            return None
        return self._subjects.pairwise(consent.subject_id, consent.partner_id)

    def _scenario(self, consent: Consent) -> Scenario:
        return self._scenarios.version(consent.scenario_id, consent.scenario_version)

    async def _check_answerer(self, tx: AsyncConnection, consent: Consent, subject_id: str, kind: str) -> None:
        """One refusal for every subject who isn't the one that is asked, so that it tells nothing about the other."""
        named = consent.named_subject
        if kind != self._scenario(consent).subject_kind:
            raise XinyiError(Code.NOT_ENTITLED)
        if named is not None and not await self._subjects.is_key_of(tx, named, subject_id):
            raise XinyiError(Code.NOT_ENTITLED)

    async def _locked(self, tx: AsyncConnection, consent_id: str, by: Party | None = None, who: str = "") -> Consent:
        found = (await repo.lock(tx, [consent_id])).get(consent_id) if is_id("cns", consent_id) else None
        if found is None:
            raise XinyiError(Code.NOT_FOUND)
        return found if by is None else _owned(found, by, who)

    async def _store(self, tx: AsyncConnection, at: datetime, *changes: tuple[Event, Consent]) -> None:
        """Stores consents as they now are, with a leaf for each that tells its change."""
        for _, consent in changes:
            await repo.update_one(tx, consent)
        await self._log(tx, at, *changes)

    async def _log(self, tx: AsyncConnection, at: datetime, *changes: tuple[Event, Consent]) -> None:
        """Appends the leaves. Locks the head of the ledger: nothing else may be locked after."""
        entries = [
            NewEntry("consent", consent.id, canonical_json(self._body(event, consent, at)))
            for event, consent in changes
        ]
        await self._ledger.append(tx, entries, at)

    def _body(self, event: Event, consent: Consent, at: datetime) -> dict[str, Any]:
        return {
            "kind": "consent",
            "id": consent.id,
            "event": event,
            "partner_id": consent.partner_id,
            "scenario": {
                "id": consent.scenario_id,
                "version": consent.scenario_version,
                "digest": consent.scenario_digest,
            },
            "subject": self.pairwise(consent),
            "units": consent.units,
            "notice_digest": consent.notice_digest,
            "expires_at": consent.expires_at,
            "at": at,
            "ended_by": consent.ended_by,
            "reason": consent.end_reason,
            "salt": b64url(secrets.token_bytes(16)),
        }


def _withdrawn(consent: Consent, by: Party, reason: EndReason, at: datetime) -> Consent:
    return replace(consent, ended_at=at, ended_as=ConsentState.WITHDRAWN, ended_by=by, end_reason=reason)


def _require(present: ConsentState, *wanted: ConsentState) -> None:
    if present not in wanted:
        raise XinyiError(Code.WRONG_STATE, f"the consent is {present.value}")


def _owned(consent: Consent, by: Party, who: str) -> Consent:
    owner = {Party.SUBJECT: consent.subject_id, Party.PARTNER: consent.partner_id, Party.OPERATOR: who}[by]
    if owner != who:
        raise XinyiError(Code.NOT_FOUND)
    return consent
