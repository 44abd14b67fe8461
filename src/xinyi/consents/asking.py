"""Asks that a partner sends: the subject is named, and answers by a link. And the one nudge that may follow.

Nothing here looks the subject up: an identifier that is known and one that isn't take the same steps, and what holds a
partner back is found by the keyed hash alone.
"""

import hashlib
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.clock import Clock, whole_seconds
from ..kernel.errors import Code, XinyiError
from ..partners.service import PartnerService, require_active
from ..scenarios.model import Scenario
from ..scenarios.registry import Registry
from ..storage import idempotency
from ..storage.database import Database
from ..storage.idempotency import Use
from ..storage.sql import take_turns
from ..subjects.model import SubjectKind
from ..subjects.service import SubjectService
from . import repo
from .journal import Change, Journal
from .model import Channel, Consent, ConsentState, Event, state
from .service import ConsentService


class Ask(Struct, frozen=True, kw_only=True):
    """Who asks whom for what. ``digest`` tells this request from another under the same idempotency key."""

    client_id: str
    partner_id: str
    scenario_id: str
    version: int | None
    identifier: str
    kind: SubjectKind | None
    sub_party: str | None = None
    idempotency_key: str | None = None

    @property
    def digest(self) -> str:
        asked = (self.scenario_id, str(self.version), str(self.kind), self.identifier, str(self.sub_party))
        parts = ("POST /v1/consents", *asked)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def __repr__(self) -> str:
        return "Ask()"


class AskService:
    """Sends asks and reminders.

    ``quiet_after_refusal``: so long a partner may not ask a subject again for a scenario that they refused
    (网数条例 22). ``quiet_after_reminder``: so long it may not remind them again. ``mail``: whether reminders go out by
    e-mail too.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        consents: ConsentService,
        journal: Journal,
        partners: PartnerService,
        scenarios: Registry,
        subjects: SubjectService,
        quiet_after_refusal: timedelta,
        quiet_after_reminder: timedelta,
        mail: bool,
    ) -> None:
        self._database = database
        self._clock = clock
        self._consents = consents
        self._journal = journal
        self._partners = partners
        self._scenarios = scenarios
        self._subjects = subjects
        self._quiet_after_refusal = quiet_after_refusal
        self._quiet_after_reminder = quiet_after_reminder
        self._mail = mail

    async def ask(self, ask: Ask) -> Consent:
        """Asks the named subject, who has an hour to answer.

        Another sub-party of the partner is no way around what waits or was refused: both hold for the partner.
        Raises ``XinyiError``: INVALID for an identifier that can't be, a version that isn't in use, or a sub-party that
        isn't the partner's or is closed; NOT_ENTITLED;
        PARTNER_SUSPENDED; WRONG_STATE while the same is asked of the same subject; COOLING_DOWN for some time after
        they refused it; IDEMPOTENCY_KEY_REUSED.
        """
        async with self._database.transaction() as tx:
            if ask.idempotency_key is not None:
                await take_turns(tx, f"idempotency of {ask.partner_id} {ask.idempotency_key}")
                earlier = await self._earlier(tx, ask, ask.idempotency_key)
                if earlier is not None:
                    return earlier
            client = await self._partners.client(tx, ask.client_id)
            if client is None or ask.scenario_id not in client.scenarios:
                raise XinyiError(Code.NOT_ENTITLED)
            scenario = self._scenario(ask)
            identifier = self._subjects.parse(ask.identifier, ask.kind or scenario.subject_kind, source="/subject")
            if identifier.kind != scenario.subject_kind:
                raise XinyiError(
                    Code.INVALID, f"the scenario is for a {scenario.subject_kind.value}", source="/subject"
                )
            sub_party = await self._partners.acting_sub_party(tx, ask.partner_id, ask.sub_party)
            key = self._subjects.key_of(identifier)
            consent = self._consents.draft(client, scenario, Channel.LINK, key, sub_party)
            await take_turns(tx, f"asks of {consent.partner_id} {consent.named_subject}")
            await self._require_quiet_is_over(tx, consent, self._subjects.keys_of(identifier))
            if ask.idempotency_key is not None:
                use = Use(ask.partner_id, ask.idempotency_key, ask.digest, consent.id)
                await idempotency.store(tx, [use], consent.created_at)
            await self._journal.begin(tx, consent, consent.created_at)
            return consent

    async def remind(self, consent_id: str, partner_id: str) -> tuple[Consent, datetime]:
        """Asks the subject once more to answer what waits for them; gives when that may be done again.

        Raises ``XinyiError``: NOT_FOUND; WRONG_STATE when nothing that the partner sent waits for an answer;
        COOLING_DOWN.
        """
        async with self._database.transaction() as tx:
            asked = await self._consents.own(tx, consent_id, partner_id)
            if asked.named_subject is not None:
                await take_turns(tx, f"asks of {asked.partner_id} {asked.named_subject}")
            consent = (await repo.lock(tx, [asked.id]))[asked.id]
            now = whole_seconds(self._clock.now())
            until = self._waits_until(consent, now)
            last = await repo.last_reminder(tx, consent)
            if last is not None and now < last + self._quiet_after_reminder:
                raise cooling_down(last + self._quiet_after_reminder - now, "they were reminded already")
            reminded = replace(consent, reminded_at=now)
            if self._mail:
                await repo.add_mail(tx, consent.id, now, until)
            await self._journal.write(tx, now, Change(Event.REMINDED, reminded))
            return reminded, now + self._quiet_after_reminder

    def _waits_until(self, consent: Consent, now: datetime) -> datetime:
        present = state(consent, now)
        if present is ConsentState.AWAITING_AUTHORISATION and consent.channel is Channel.LINK:
            return consent.request_expires_at
        waiting = consent.extension_due_at
        if present in {ConsentState.AUTHORISED, ConsentState.PAUSED} and waiting is not None and now < waiting:
            return waiting
        raise XinyiError(Code.WRONG_STATE, "nothing that was sent to the subject waits for their answer")

    async def _earlier(self, tx: AsyncConnection, ask: Ask, key: str) -> Consent | None:
        use = (await idempotency.find(tx, {(ask.partner_id, key)})).get((ask.partner_id, key))
        if use is None:
            return None
        if use.digest != ask.digest:
            raise XinyiError(Code.IDEMPOTENCY_KEY_REUSED, source="idempotency-key")
        client = await self._partners.client(tx, ask.client_id)
        if client is None:
            raise XinyiError(Code.NOT_ENTITLED)
        require_active(client)
        return await self._consents.own(tx, use.resource, ask.partner_id)

    def _scenario(self, ask: Ask) -> Scenario:
        if ask.version is None:
            return self._scenarios.get(ask.scenario_id)
        scenario = self._scenarios.find(ask.scenario_id, ask.version)
        if scenario is None or self._scenarios.is_outdated(scenario):
            raise XinyiError(Code.INVALID, "there is no such version, or it isn't in use", source="/version")
        return scenario

    async def _require_quiet_is_over(self, tx: AsyncConnection, consent: Consent, keys: tuple[str, ...]) -> None:
        now = consent.created_at
        if await repo.is_asked(tx, consent.partner_id, consent.scenario_id, keys, now):
            raise XinyiError(Code.WRONG_STATE, "the same is asked of the same subject already, and waits for an answer")
        refused = await repo.last_refusal(tx, consent.partner_id, consent.scenario_id, keys)
        if refused is not None and now < refused + self._quiet_after_refusal:
            raise cooling_down(refused + self._quiet_after_refusal - now, "the subject refused this not long ago")


def cooling_down(left: timedelta, why: str) -> XinyiError:
    """The refusal of a partner who has to leave the subject in peace for a while."""
    return XinyiError(Code.COOLING_DOWN, why, retry_after=max(1, round(left.total_seconds())))
